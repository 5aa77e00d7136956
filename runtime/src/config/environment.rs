//! The environment of the process: variables flow in, what they mean flows out. Nobody else asks
//! for one.

use std::path::PathBuf;

/// A variable as text. Errors: it is not set, or no text.
#[expect(clippy::disallowed_methods, reason = "this is the door that everybody else uses")]
pub fn text(variable: &str) -> Result<String, std::env::VarError> {
    std::env::var(variable)
}

/// Where a user's programs keep what they can make again (XDG Base Directory Specification);
/// `None` without a home.
pub fn cache_home() -> Option<PathBuf> {
    let path = |variable| text(variable).ok().map(PathBuf::from);
    let named = path("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    named.or_else(|| Some(path("HOME")?.join(".cache")))
}

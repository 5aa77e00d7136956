//! The state machine played through before it is trusted: a scripted past flows in, everything that
//! would follow from it flows out as text.
//!
//! There is no store, no target and no clock: targets are as the script says, and time passes where
//! it says so. What comes out are the transitions with their rows of password.md 5.3, the log in
//! both languages, the audit, and the mails that would be written.

mod policy;
mod script;
mod stage;

pub use self::script::{Finding, ScriptError};

/// Plays a script. Gives one block of lines for each line of the script, then what was sent.
///
/// Errors: every line that is not understood, all at once, with what would be.
pub fn simulate(text: &str) -> Result<String, ScriptError> {
    let script = script::read(text)?;
    Ok(stage::play(script))
}

//! To come.

/// A pattern of an administrator, compiled within bounds.
pub fn pattern(text: &str) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(text).case_insensitive(true).size_limit(1 << 20).build()
}

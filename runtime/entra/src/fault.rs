//! What is wrong with exported files: the code, where it stands, and how to mend it.

/// A file that cannot be read or is too large.
pub const UNREADABLE: &str = "K0950";
/// No text, or in an unknown encoding.
pub const ENCODING: &str = "K0951";
/// No well-formed XML, or XML that this program does not read.
pub const XML: &str = "K0952";
/// A part of a rule that is missing or has an unknown value.
pub const RULE: &str = "K0953";
/// A script with more than rules in it.
pub const SCRIPT: &str = "K0954";
/// No JSON, or JSON that was cut short.
pub const JSON: &str = "K0955";
/// Connectors without a name.
pub const CONNECTOR: &str = "K0956";
/// An argument of the command.
pub const ARGUMENT: &str = "K0957";
/// Files without rules, or a rule that stands twice.
pub const RULES: &str = "K0958";
/// A rule of ours that an export cannot hold.
pub const NOT_EXPRESSIBLE: &str = "K0959";
/// What the import noted for the way back.
pub const NOTES: &str = "K0960";

/// One thing that keeps an import or an export from being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub code: &'static str,
    pub message: String,
    /// As the caller named the file; empty where no file is meant.
    pub file: String,
    /// From 1; 0 where the whole file is meant.
    pub line: u32,
    pub hint: String,
}

// === impl Fault ===

impl Fault {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), file: String::new(), line: 0, hint: String::new() }
    }

    #[must_use]
    pub fn at(mut self, file: &str, line: u32) -> Self {
        file.clone_into(&mut self.file);
        self.line = line;
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

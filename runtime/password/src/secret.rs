//! A password in memory.

/// A password. Opened only where it is sealed or sent.
pub struct Password(zeroize::Zeroizing<String>);

impl Password {
    pub fn new(text: zeroize::Zeroizing<String>) -> Self {
        Self(text)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

//! Passwords in memory: text flows in from an agent or an opened envelope, and is looked at where
//! it is sealed or sent. Nothing else can be done with it: it has no `Debug`, `Display`, `Clone` or
//! `Serialize` (S-04), and the compiler refuses to build this crate if one of them is ever added.

mod arena;

use zeroize::Zeroizing;

pub(crate) use self::arena::Cell;
pub use self::arena::{CELL_BYTES, Memory};

/// A password. Opened only where it is sealed or sent.
///
/// ```
/// fn shown(password: &kakehi_password::secret::Password) -> usize {
///     format!("{:?}", password.expose().len()).len()
/// }
/// ```
/// ```compile_fail
/// fn shown(password: &kakehi_password::secret::Password) -> usize {
///     format!("{:?}", password).len()
/// }
/// ```
/// ```compile_fail
/// fn twice(password: &kakehi_password::secret::Password) -> kakehi_password::secret::Password {
///     password.clone()
/// }
/// ```
pub struct Password(Cell);

/// What was captured is no text. Neither form says where, since that would tell of the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    #[error("the password is not valid UTF-8: the agent must convert it without loss (PW026)")]
    Utf8,
    #[error("the password has an unpaired UTF-16 surrogate, which no text has (PW026)")]
    Utf16,
}

/// What [`harden_process`] did. Empty `failures`: everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hardening {
    /// Why something could not be done; the process may go on, but `doctor` and the log say so.
    pub failures: Vec<String>,
}

// === impl Hardening ===

impl Hardening {
    /// What could not be done, in one line; `None`: everything could.
    pub fn weak(&self) -> Option<String> {
        (!self.failures.is_empty()).then(|| self.failures.join("; "))
    }
}

/// Fails to compile once a type has one of the traits: then two `here` fit, and neither is chosen.
macro_rules! never {
    ($type:ty: $($trait:path),+ $(,)?) => {$(
        const _: fn() = || {
            trait Ambiguous<A> {
                fn here() {}
            }
            struct HasIt;
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $trait> Ambiguous<HasIt> for T {}
            let _ = <$type as Ambiguous<_>>::here;
        };
    )+};
}

never!(Password: std::fmt::Debug, std::fmt::Display, Clone, serde::Serialize, AsRef<str>);
never!(Cell: std::fmt::Debug, std::fmt::Display, Clone, serde::Serialize);

/// Keeps passwords out of core files and from other processes of the same user: the process is not
/// dumpable, and its core files have no bytes. Called once, before the first password.
///
/// What could not be done is told and not an error: a password that is not delivered because the
/// kernel lacks a feature would be the worse end.
/// Source: password.md 7.3.
pub fn harden_process() -> Hardening {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let mut failures = Vec::new();
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        failures.push(format!("the process stays dumpable: {error}"));
    }
    // Both limits, so that nothing later in this process can raise it again.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        failures.push(format!("core files stay possible: {error}"));
    }
    let memory = memory();
    failures.extend(memory.failures);
    Hardening { failures }
}

/// How the memory of passwords stands, for `doctor`.
pub fn memory() -> Memory {
    arena::memory()
}

// === impl Password ===

impl Password {
    /// Takes the text as it is: not normalised, not cut.
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(Cell::copy_of(text.as_bytes()))
    }

    /// Errors: not UTF-8 (PW026).
    pub fn from_utf8(bytes: Zeroizing<Vec<u8>>) -> Result<Self, NotText> {
        Self::from_cell(Cell::copy_of(&bytes))
    }

    /// Converts without loss; every code unit counts, a NUL too.
    /// Errors: an unpaired surrogate (PW026).
    pub fn from_utf16(units: &[u16]) -> Result<Self, NotText> {
        let characters = || char::decode_utf16(units.iter().copied());
        let mut length = 0;
        for character in characters() {
            length += character.map_err(|_| NotText::Utf16)?.len_utf8();
        }
        // Written straight into its cell, so that no copy stays behind in ordinary memory.
        let mut cell = Cell::zeroed(length);
        let mut at = 0;
        for character in characters().flatten() {
            at += character.encode_utf8(&mut cell.bytes_mut()[at..]).len();
        }
        Ok(Self(cell))
    }

    pub(crate) fn from_cell(cell: Cell) -> Result<Self, NotText> {
        match std::str::from_utf8(cell.bytes()) {
            Ok(_) => Ok(Self(cell)),
            Err(_) => Err(NotText::Utf8),
        }
    }

    /// The text itself. It must not be copied to where nothing wipes it.
    pub fn expose(&self) -> &str {
        std::str::from_utf8(self.0.bytes()).expect("a password is made of text only")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Password {
        Password::new(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn l06_2_non_ascii_is_not_damaged() {
        for sample in ["a", "パスワード㍿", "🔑👩‍👩‍👧", "é\u{301}", "\u{feff}x", "tab\tnul\0", "ｱｲｳ"]
        {
            let units: Vec<u16> = sample.encode_utf16().collect();
            let from_utf16 = Password::from_utf16(&units).map_err(|error| error.to_string());
            assert_eq!(from_utf16.map(|it| it.expose() == sample), Ok(true), "{sample}");
            let bytes = Zeroizing::new(sample.as_bytes().to_vec());
            let from_utf8 = Password::from_utf8(bytes).map_err(|error| error.to_string());
            assert_eq!(from_utf8.map(|it| it.expose() == sample), Ok(true), "{sample}");
            assert!(text(sample).expose() == sample);
        }
    }

    #[test]
    fn pw026_what_is_no_text_is_refused() {
        for units in [&[0xd800][..], &[0x61, 0xdc00], &[0xd83d, 0xd83d, 0xdd11], &[0xd800, 0x61]] {
            assert!(matches!(Password::from_utf16(units), Err(NotText::Utf16)));
        }
        for bytes in [&b"\xff"[..], b"a\xc3", b"\xed\xa0\x80", b"\xc0\x80"] {
            let bytes = Zeroizing::new(bytes.to_vec());
            assert!(matches!(Password::from_utf8(bytes), Err(NotText::Utf8)));
        }
    }

    #[test]
    fn long_passwords_and_empty_ones_are_kept_whole() {
        for length in [0, 1, 256, CELL_BYTES, CELL_BYTES + 1, 100_000] {
            let long = "x".repeat(length);
            assert!(text(&long).expose() == long, "{length}");
        }
    }

    proptest! {
        #[test]
        fn l06_2_any_text_survives_the_way_through_utf16(sample in any::<String>()) {
            let units: Vec<u16> = sample.encode_utf16().collect();
            let password = Password::from_utf16(&units).map_err(|error| error.to_string());
            prop_assert_eq!(password.map(|it| it.expose() == sample), Ok(true));
        }

        #[test]
        fn pw026_units_are_text_or_refused(units in prop::collection::vec(any::<u16>(), 0..50)) {
            match (Password::from_utf16(&units), String::from_utf16(&units)) {
                (Ok(password), Ok(sample)) => prop_assert!(password.expose() == sample),
                (Err(_), Err(_)) => {}
                _ => prop_assert!(false, "the two disagree"),
            }
        }
    }
}

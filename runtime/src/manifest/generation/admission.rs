//! What a module has to show before it is loaded: policy and keys of the configuration flow in, a
//! yes or no for each module flows out (rules.md 4).

use std::path::Path;

use kakehi_host::{LoadError, TrustedKeys};

use crate::config::finding::{Finding, Severity};
use crate::config::rules::{Policy, Rules};
use crate::manifest::files::Files;

const BAD_KEY: &str = "K0517";

/// The policy, with what it needs.
#[derive(Clone, Debug)]
pub enum Admission {
    Open,
    Pinned,
    Signed(TrustedKeys),
}

// === impl Admission ===

impl Admission {
    /// As an installation is configured. Errors: every text that is no public key.
    pub fn of(rules: &Rules) -> Result<Self, Vec<Finding>> {
        match rules.policy {
            Policy::Open => Ok(Self::Open),
            Policy::Pinned => Ok(Self::Pinned),
            Policy::Signed => {
                let keys: Vec<(&str, &str)> = rules
                    .trusted_keys
                    .iter()
                    .map(|(name, key)| (name.as_str(), key.as_str()))
                    .collect();
                let faulty = |fault: kakehi_host::TrustedKeyError| Finding {
                    severity: Severity::Error,
                    code: BAD_KEY,
                    message: format!("cannot use `rules.trusted_keys`: {fault}"),
                    place: None,
                    hint: Some(fault.hint.into()),
                };
                TrustedKeys::parse(&keys)
                    .map(Self::Signed)
                    .map_err(|faults| faults.into_iter().map(faulty).collect())
            }
        }
    }

    /// Takes a module that a rule of `file` names by `path`, and the pin it has there.
    ///
    /// Errors: K0502 no pin, or another; K0515 no signature that counts.
    pub fn check(
        &self,
        files: &mut Files,
        file: &Path,
        path: &str,
        bytes: &[u8],
        sha256: Option<&str>,
    ) -> Result<(), LoadError> {
        match self {
            Self::Open => Ok(()),
            Self::Pinned => kakehi_host::check_pin(bytes, sha256),
            Self::Signed(trusted) => {
                kakehi_host::check_pin(bytes, sha256)?;
                let signature = files.signature(file, path)?;
                kakehi_host::check_signature(bytes, &signature, trusted).map(|_| ())
            }
        }
    }
}

//! How rule modules are loaded and run: what was typed flows in, what the host is made from flows
//! out.

use std::path::{Path, PathBuf};

use super::check::{Bounds, WEAKENED, limit, within};
use super::finding::Findings;
use super::quantity::{Ceiling, Size, Span};
use super::raw::{PolicyRaw, ReloadRaw, RulesRaw};
use super::yaml::At;

/// Where compiled modules are kept.
pub const CACHE: &str = "/var/cache/kakehi";
/// Objects given to a fresh instance: its start is spread over them (rules.md 5.5).
pub const BATCH: Bounds<u32> = Bounds { default: 256, min: 1, max: 4096 };
/// Linear memory of an instance: Python rests at 13 MiB, 50,000 values take up to 18 (rules.md
/// 5.4).
pub const MEMORY: Bounds<Size> =
    Bounds { default: Size(64 << 20), min: Size(1 << 20), max: Size(512 << 20) };
/// The fixed part of the time for one object: the slowest engine tried needs 0.4 ms (rules.md 5.4).
pub const TIME: Bounds<Span> = Bounds {
    default: Span::from_millis(100),
    min: Span::from_millis(10),
    max: Span::from_secs(60),
};
/// Output of one call: 50,000 member DNs need 5 MiB (rules.md 5.4).
pub const OUTPUT: Bounds<Size> =
    Bounds { default: Size(8 << 20), min: Size(64 << 10), max: Size(64 << 20) };

/// How long files must have been left alone: editors write in several steps (rules.md 7).
pub const DEBOUNCE: Bounds<Span> = Bounds {
    default: Span::from_millis(500),
    min: Span::from_millis(50),
    max: Span::from_secs(60),
};
/// Generations that are kept: enough for going back beyond an afternoon of trying.
pub const KEEP: Bounds<u32> = Bounds { default: 20, min: 2, max: 1_000 };

const NO_KEYS: &str = "K0161";
const UNUSED_KEYS: &str = "K0162";

/// Which modules are loaded (rules.md 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Only those whose SHA-256 stands in the manifest.
    #[default]
    Pinned,
    /// Those, if somebody who is trusted signed them as well.
    Signed,
    /// Any: for authors of rules.
    Open,
}

#[derive(Clone, Debug)]
pub struct Rules {
    pub policy: Policy,
    /// Name and minisign public key of everybody whose signature counts.
    pub trusted_keys: Vec<(String, String)>,
    pub cache: PathBuf,
    pub batch: u32,
    /// What a rule may take where the manifest says nothing else.
    pub memory: Size,
    pub time: Span,
    pub output: Size,
    pub reload: Reload,
}

/// How a running service takes changed rules (rules.md 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    pub watch: bool,
    pub debounce: Span,
    /// Objects at the targets that changed rules may change without being asked about.
    pub max_changes: Ceiling,
    pub keep: u32,
}

// === impl Policy ===

impl Policy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Signed => "signed",
            Self::Open => "open",
        }
    }
}

pub(super) fn rules(raw: RulesRaw, folder: &Path, findings: &mut Findings) -> Rules {
    let limits = raw.limits;
    let keys: Vec<_> = raw.trusted_keys.0.into_iter().collect();
    Rules {
        policy: policy(raw.policy, &keys, findings),
        trusted_keys: keys.into_iter().map(|(name, key)| (name.value, key.value)).collect(),
        cache: folder.join(raw.cache.unwrap_or_else(|| CACHE.into())),
        batch: within(findings, "rules.batch", raw.batch, &BATCH),
        memory: limit(findings, "rules.limits.memory", limits.memory, &MEMORY),
        time: limit(findings, "rules.limits.time", limits.time, &TIME),
        output: limit(findings, "rules.limits.output", limits.output, &OUTPUT),
        reload: reload(raw.reload, findings),
    }
}

fn reload(raw: ReloadRaw, findings: &mut Findings) -> Reload {
    Reload {
        watch: raw.watch.unwrap_or(true),
        debounce: within(findings, "rules.reload.debounce", raw.debounce, &DEBOUNCE),
        max_changes: raw.max_changes.map_or(Ceiling(None), |at| at.value),
        keep: within(findings, "rules.reload.keep", raw.keep, &KEEP),
    }
}

fn policy(
    raw: Option<At<PolicyRaw>>,
    keys: &[(At<String>, At<String>)],
    findings: &mut Findings,
) -> Policy {
    let signed = raw.as_ref().is_some_and(|at| at.value == PolicyRaw::Signed);
    if let (Some((name, _)), false) = (keys.first(), signed) {
        findings
            .warning(UNUSED_KEYS, "`rules.trusted_keys` has no effect without `policy: signed`")
            .at(name.mark);
    }
    let Some(At { value, mark }) = raw else { return Policy::default() };
    match value {
        PolicyRaw::Pinned => Policy::Pinned,
        PolicyRaw::Open => {
            findings
                .warning(WEAKENED, "`rules.policy` is `open`: modules are run whatever they hold")
                .at(mark)
                .hint("use `pinned` wherever real data is");
            Policy::Open
        }
        PolicyRaw::Signed => {
            if keys.is_empty() {
                findings
                    .error(NO_KEYS, "`rules.policy` is `signed`, but nobody is trusted")
                    .at(mark)
                    .hint("add `trusted_keys: {NAME: KEY}` with a minisign public key");
            }
            Policy::Signed
        }
    }
}

//! Where captures arrive, and from whom.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::super::check::{Bounds, within};
use super::super::finding::Findings;
use super::super::raw::password::{AgentRaw, IntakeRaw};
use super::{Around, SOCKET};

/// Captures of one agent: a whole company at once, and no flood.
pub const PER_AGENT: Bounds<u32> = Bounds { default: 60_000, min: 1, max: 10_000_000 };
/// Captures of one user: nobody changes a password so often.
pub const PER_USER: Bounds<u32> = Bounds { default: 120, min: 1, max: 1_000_000 };

const BAD_ADDRESS: &str = "K0268";
const NO_TLS: &str = "K0269";

#[derive(Clone, Debug)]
pub struct Intake {
    pub socket: PathBuf,
    pub allow_uids: Vec<u32>,
    pub allow_gids: Vec<u32>,
    pub remote: Option<Remote>,
    pub opaque_status: bool,
    pub per_agent_per_minute: u32,
    pub per_user_per_hour: u32,
}

/// The door for agents of other machines.
#[derive(Clone, Debug)]
pub struct Remote {
    pub listen: SocketAddr,
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub client_ca: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The system that it watches.
    pub source: String,
    /// The only local user that may speak for it.
    pub uid: Option<u32>,
}

pub(super) fn agent(raw: AgentRaw) -> Agent {
    Agent { source: raw.source.value, uid: raw.uid }
}

pub(super) fn intake(raw: IntakeRaw, around: &Around<'_>, findings: &mut Findings) -> Intake {
    let place = |path: PathBuf| around.folder.join(path);
    let remote = raw.listen.and_then(|listen| {
        let address = listen.value.parse();
        if address.is_err() {
            findings
                .error(
                    BAD_ADDRESS,
                    format_args!("`password.intake.listen` is `{}`, no address", listen.value),
                )
                .at(listen.mark)
                .hint("write an address with its port, such as `0.0.0.0:8443`");
        }
        match (address, raw.certificate, raw.key, raw.client_ca) {
            (Ok(listen), Some(certificate), Some(key), Some(client_ca)) => Some(Remote {
                listen,
                certificate: place(certificate),
                key: place(key),
                client_ca: place(client_ca),
            }),
            (Ok(_), ..) => {
                findings
                    .error(NO_TLS, "`password.intake.listen` needs certificates on both sides")
                    .at(listen.mark)
                    .hint("add `certificate`, `key` and `client_ca`");
                None
            }
            _ => None,
        }
    });
    Intake {
        socket: raw.socket.map_or_else(|| around.state.join(SOCKET), place),
        allow_uids: raw.allow_uids,
        allow_gids: raw.allow_gids,
        remote,
        opaque_status: raw.opaque_status,
        per_agent_per_minute: within(
            findings,
            "password.intake.per_agent_per_minute",
            raw.per_agent_per_minute,
            &PER_AGENT,
        ),
        per_user_per_hour: within(
            findings,
            "password.intake.per_user_per_hour",
            raw.per_user_per_hour,
            &PER_USER,
        ),
    }
}

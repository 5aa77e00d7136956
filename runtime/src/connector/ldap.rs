//! LDAP servers as sources: options flow in, batches of changes flow out of [`LdapDirectory`].
//!
//! The way of an answer: [`guard`] checks it, [`search`] hands it over in time, [`page`] (listings)
//! or [`delta`] (RFC 4533) makes changes of it with the help of [`decode`]. The connection is kept
//! between polls and given up at the first failure. [`password`] alone writes.

mod ber;
mod connect;
mod control;
mod decode;
mod delta;
mod fault;
mod guard;
mod message;
pub mod options;
mod page;
pub mod password;
mod probe;
mod schema;
#[cfg(test)]
mod scripted;
mod search;
mod session;
mod subschema;
mod tls;
mod url;

use std::collections::BTreeMap;

use async_trait::async_trait;
use kakehi_engine::object::ConnectorName;

use self::delta::DeltaEnd;
use self::fault::Failure;
pub use self::options::{Bind, LdapOptions, Limits, ServerKind, TlsOptions};
use self::session::Session;
use crate::edge::{
    BatchSink, Directory, DirectoryError, PollEnd, PollMode, SourceReport, SourceSchema,
    SourceState,
};

/// One LDAP source.
pub struct LdapDirectory {
    options: LdapOptions,
    session: Option<Session>,
    /// Why the bind was refused. It is not tried again, since accounts are locked that way (L-22):
    /// a changed credential makes a new source.
    refused: Option<String>,
}

#[async_trait]
impl Directory for LdapDirectory {
    fn name(&self) -> &ConnectorName {
        &self.options.name
    }

    async fn poll(
        &mut self,
        states: &BTreeMap<String, SourceState>,
        mode: PollMode,
        sink: &mut dyn BatchSink,
    ) -> Result<PollEnd, DirectoryError> {
        let result = self.poll_bases(states, mode, sink).await;
        self.give_up_after(result)
    }

    async fn probe(&mut self) -> Result<SourceReport, DirectoryError> {
        let result = self.look().await;
        self.give_up_after(result)
    }

    async fn schema(&mut self) -> Result<SourceSchema, DirectoryError> {
        let result = self.read_schema().await;
        self.give_up_after(result)
    }
}

impl LdapDirectory {
    pub fn new(options: LdapOptions) -> Self {
        Self { options, session: None, refused: None }
    }

    async fn poll_bases(
        &mut self,
        states: &BTreeMap<String, SourceState>,
        mode: PollMode,
        sink: &mut dyn BatchSink,
    ) -> Result<PollEnd, Failure> {
        let mut total = PollEnd::default();
        self.connect().await?;
        let Some(session) = &mut self.session else { return Ok(total) };
        for base in &self.options.bases {
            let state = states.get(base).cloned().unwrap_or_default();
            let end = poll_base(session, &self.options, base, &state, mode, sink).await;
            let end = end.map_err(|failure| {
                failure.at(&format!("{}, base `{base}`", session.connection.url))
            })?;
            total.entries += end.entries;
            total.referrals += end.referrals;
            total.full |= end.full;
        }
        Ok(total)
    }

    async fn look(&mut self) -> Result<SourceReport, Failure> {
        self.connect().await?;
        match &mut self.session {
            Some(session) => probe::report(session, &self.options).await,
            None => Ok(SourceReport::default()),
        }
    }

    async fn read_schema(&mut self) -> Result<SourceSchema, Failure> {
        self.connect().await?;
        match &mut self.session {
            Some(session) => subschema::read(session).await,
            None => Ok(SourceSchema::default()),
        }
    }

    /// Takes up the kept connection, or opens one.
    async fn connect(&mut self) -> Result<(), Failure> {
        if let Some(why) = &self.refused {
            return Err(Failure::Refused(format!("{why}; not tried again until it changes")));
        }
        if let Some(session) = &mut self.session {
            // Servers and firewalls cut idle connections, and a restart is no failure either.
            if session.is_alive().await {
                return Ok(());
            }
            self.session = None;
        }
        match Session::open(&self.options).await {
            Ok(session) => self.session = Some(session),
            Err(failure) => {
                if let Failure::Refused(why) = &failure {
                    self.refused = Some(why.clone());
                }
                return Err(failure);
            }
        }
        Ok(())
    }

    /// After a failure nobody knows what the connection still holds.
    fn give_up_after<T>(&mut self, result: Result<T, Failure>) -> Result<T, DirectoryError> {
        result.map_err(|failure| {
            self.session = None;
            failure.of_source(self.options.name.as_str())
        })
    }
}

async fn poll_base(
    session: &mut Session,
    options: &LdapOptions,
    base: &str,
    state: &SourceState,
    mode: PollMode,
    sink: &mut dyn BatchSink,
) -> Result<PollEnd, Failure> {
    let mut after = SourceState {
        config_hash: options.config_hash(base),
        server: session.connection.url.as_str().to_owned(),
        cookie: None,
        behind: false,
        ..state.clone()
    };
    if session.kind == ServerKind::OpenLdap {
        // Read before the listing: what changes meanwhile comes again with the first delta (L-73).
        let csns = session.context_csn(base).await?;
        if csns.is_empty() {
            return Err(Failure::Config {
                message: "`contextCSN` cannot be read".to_owned(),
                hint: "load the overlay syncprov and let the bind account read the suffix, \
                       or set `kind: generic`"
                    .to_owned(),
            });
        }
        after.server = format!("{} {}", after.server, server_ids(&csns).join(","));
        after.cookie = Some(format!("rid=000,csn={}", csns.join(";")).into_bytes());
    }
    let reason = match resync(state, &after, mode) {
        Some(reason) => reason,
        None => match delta::delta(session, base, &options.filter, state, sink).await? {
            DeltaEnd::Done(end) => return Ok(end),
            DeltaEnd::Relist(reason) => {
                return relist(session, options, base, reason, state, after, sink).await;
            }
        },
    };
    page::list(session, base, &options.filter, reason, state, after, sink).await
}

/// A listing after a delta that may have begun a generation of its own.
async fn relist(
    session: &mut Session,
    options: &LdapOptions,
    base: &str,
    reason: &'static str,
    state: &SourceState,
    after: SourceState,
    sink: &mut dyn BatchSink,
) -> Result<PollEnd, Failure> {
    let state = SourceState { generation: state.generation + 1, cookie: None, ..state.clone() };
    page::list(session, base, &options.filter, reason, &state, after, sink).await
}

/// Why a delta is not enough (L-45); `None` if it is. `now`: what a listing would leave behind.
fn resync(state: &SourceState, now: &SourceState, mode: PollMode) -> Option<&'static str> {
    // A first listing that was not finished left no digest behind.
    if state.config_hash.is_empty() {
        Some("first")
    } else if mode == PollMode::Full {
        Some("operator")
    } else if state.config_hash != now.config_hash {
        Some("config-changed")
    } else if now.cookie.is_none() {
        Some("schedule")
    } else if !same_server(&state.server, &now.server) {
        Some("server-changed")
    } else if state.cookie.is_none() {
        Some("cookie-refused")
    } else {
        None
    }
}

/// The ids of the servers that wrote last: the third part of a change number
/// (`20261121205313.822635Z#000000#001#000000`).
fn server_ids(csns: &[String]) -> Vec<&str> {
    csns.iter().filter_map(|csn| csn.split('#').nth(2)).collect()
}

/// The same address, and at least one server id in common: providers are added and retired, but
/// other data has none of the old ids (L-76).
fn same_server(known: &str, now: &str) -> bool {
    let parts = |text: &str| {
        let (url, ids) = text.split_once(' ').unwrap_or((text, ""));
        (url.to_owned(), ids.split(',').map(str::to_owned).collect::<Vec<_>>())
    };
    let ((known_url, known_ids), (url, ids)) = (parts(known), parts(now));
    known_url == url && ids.iter().any(|id| known_ids.contains(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> SourceState {
        SourceState {
            config_hash: "h".into(),
            server: "ldap://a 000".into(),
            cookie: Some(b"c".to_vec()),
            generation: 1,
            ..SourceState::default()
        }
    }

    #[test]
    fn l45_each_reason_for_a_listing_is_named() {
        let with = |change: fn(&mut SourceState)| {
            let mut state = state();
            change(&mut state);
            state
        };
        for (known, now, mode, expected) in [
            (state(), state(), PollMode::Delta, None),
            (state(), state(), PollMode::Full, Some("operator")),
            (SourceState::default(), state(), PollMode::Full, Some("first")),
            (with(|s| s.config_hash.clear()), state(), PollMode::Delta, Some("first")),
            (
                with(|s| s.config_hash = "other".into()),
                state(),
                PollMode::Delta,
                Some("config-changed"),
            ),
            (
                with(|s| s.server = "ldap://b 000".into()),
                state(),
                PollMode::Delta,
                Some("server-changed"),
            ),
            (
                with(|s| s.server = "ldap://a 001".into()),
                state(),
                PollMode::Delta,
                Some("server-changed"),
            ),
            (with(|s| s.server = "ldap://a 001,000".into()), state(), PollMode::Delta, None),
            (with(|s| s.cookie = None), state(), PollMode::Delta, Some("cookie-refused")),
            (state(), with(|s| s.cookie = None), PollMode::Delta, Some("schedule")),
        ] {
            assert_eq!(resync(&known, &now, mode), expected, "{known:?}");
        }
    }
}

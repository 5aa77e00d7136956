//! Deltas by RFC 4533, refreshOnly: a cookie flows in, what changed since flows out with the next
//! one (ldap.md 6.4). Full or delta is decided from the messages that come, never from a server's
//! flag (L-40).

use kakehi_engine::object::Anchor;
use ldap3::Scope;

use super::control::{
    SYNC_DONE, SYNC_INFO, SYNC_STATE, SyncInfo, SyncState, Uuid, sync_done, sync_info,
    sync_request, sync_state,
};
use super::decode::decode;
use super::fault::{Failure, of_search};
use super::message::{DONE, ENTRY, INTERMEDIATE, Message, REFERENCE};
use super::search::{Request, Search};
use super::session::Session;
use crate::connector::batch::Batches;
use crate::connector::wanted::Wanted;
use crate::edge::{BatchSink, Change, PollEnd, SourceState};

/// Fewer entries than this are an ordinary delta, however small the directory is.
const SUSPICIOUS_ENTRIES_MIN: u64 = 100;
/// From this share of the known objects on, a delta looks like the answer to a lost cookie.
const SUSPICIOUS_PERCENT_MIN: u64 = 90;
/// Anchors in one `Present` of ours: as many as OpenLDAP puts into a set.
const PRESENT_ANCHORS_MAX: usize = 256;
/// Why a generation begins although nobody asked for a listing.
const PRESENT_PHASE: &str = "present-phase";

#[derive(Debug, PartialEq, Eq)]
pub enum DeltaEnd {
    Done(PollEnd),
    /// A full listing is needed, and why.
    Relist(&'static str),
}

/// Reads what changed since `before`, which holds a cookie.
///
/// Nothing at all is committed if nothing changed. Errors: any result but success; what was
/// committed stays valid, and the old cookie repeats the rest.
pub async fn delta(
    session: &mut Session,
    base: &str,
    filter: &str,
    before: &SourceState,
    sink: &mut dyn BatchSink,
) -> Result<DeltaEnd, Failure> {
    let Session { connection, wanted, requested, .. } = session;
    let controls = vec![sync_request(before.cookie.as_deref().unwrap_or_default())];
    let request = Request { base, scope: Scope::Subtree, filter, attributes: requested, controls };
    let mut search = Search::start(connection, request).await?;
    let mut refresh = Refresh::new(wanted, before, Batches::new(sink, base));
    loop {
        let frame = search.next().await?;
        let message = Message::parse(&frame.bytes)?;
        match message.tag {
            ENTRY => refresh.entry(&message).await?,
            REFERENCE => refresh.end.referrals += 1,
            INTERMEDIATE => {
                let (name, value) = message.intermediate()?;
                if name == SYNC_INFO {
                    refresh.info(sync_info(value)?).await?;
                }
            }
            DONE => {
                let outcome = message.outcome()?;
                return match outcome.code {
                    0 => {
                        let control = message.control(SYNC_DONE)?;
                        refresh.done(control.map(sync_done).transpose()?.flatten()).await
                    }
                    4096 => Ok(DeltaEnd::Relist("cookie-refused")),
                    53 => refresh.server_behind().await,
                    _ => Err(of_search(&outcome)),
                };
            }
            _ => {}
        }
    }
}

/// One refresh under way.
struct Refresh<'r> {
    wanted: &'r Wanted,
    before: &'r SourceState,
    batches: Batches<'r>,
    end: PollEnd,
    /// The newest cookie that came; it counts only once the refresh is complete (L-72).
    cookie: Option<Vec<u8>>,
    /// Entries that came before it was clear whether this is a present phase.
    sent: Vec<Uuid>,
    /// The generation of the present phase, once there is one.
    generation: Option<u64>,
    /// Objects that the present phase showed. One that is named and sent counts twice: close enough
    /// for judging later deltas by it, and no set of all ids is needed.
    alive: u64,
    changed: bool,
}

impl<'r> Refresh<'r> {
    fn new(wanted: &'r Wanted, before: &'r SourceState, batches: Batches<'r>) -> Self {
        Self {
            wanted,
            before,
            batches,
            end: PollEnd::default(),
            cookie: None,
            sent: vec![],
            generation: None,
            alive: 0,
            changed: false,
        }
    }

    async fn push(&mut self, change: Change, bytes: usize) -> Result<(), Failure> {
        self.changed = true;
        Ok(self.batches.push(change, bytes).await?)
    }

    async fn entry(&mut self, message: &Message<'_>) -> Result<(), Failure> {
        let control = message.control(SYNC_STATE)?.ok_or_else(|| {
            Failure::Protocol("an entry of a synchronization has no state".to_owned())
        })?;
        let (state, id) = sync_state(control)?;
        match state {
            SyncState::Present => self.present(vec![id]).await,
            SyncState::Delete => self.delete(id).await,
            SyncState::Changed => {
                let raw = message.entry()?;
                let (entry, faults, bytes) = decode(self.wanted, &raw, Some(id))?;
                self.end.entries += 1;
                self.alive += 1;
                if self.generation.is_none() {
                    self.sent.push(id);
                }
                self.push(Change::Upsert(entry), bytes).await?;
                for fault in faults {
                    self.push(fault, 0).await?;
                }
                Ok(())
            }
        }
    }

    async fn info(&mut self, info: SyncInfo<'_>) -> Result<(), Failure> {
        let cookie = match info {
            SyncInfo::Cookie(cookie) => cookie,
            SyncInfo::IdSet { cookie, deleted: false, uuids } => {
                self.present(uuids).await?;
                cookie
            }
            SyncInfo::IdSet { cookie, deleted: true, uuids } => {
                for id in uuids {
                    self.delete(id).await?;
                }
                cookie
            }
        };
        self.keep(cookie);
        Ok(())
    }

    fn keep(&mut self, cookie: Option<&[u8]>) {
        if let Some(cookie) = cookie {
            self.cookie = Some(cookie.to_vec());
        }
    }

    async fn delete(&mut self, id: Uuid) -> Result<(), Failure> {
        self.push(Change::Delete { anchor: anchor(id) }, id.len()).await
    }

    /// Objects that are alive and unchanged. The first ones begin a generation, in which everything
    /// that was sent before counts as shown too.
    async fn present(&mut self, ids: Vec<Uuid>) -> Result<(), Failure> {
        if self.generation.is_none() {
            let generation = self.before.generation + 1;
            self.generation = Some(generation);
            self.push(Change::FullBegin { generation, reason: PRESENT_PHASE }, 0).await?;
            // Used up from here on, as in a listing.
            self.batches.close(SourceState { generation, ..self.before.clone() }).await?;
            for ids in std::mem::take(&mut self.sent).chunks(PRESENT_ANCHORS_MAX) {
                self.show(ids).await?;
            }
        }
        self.alive += ids.len() as u64;
        self.show(&ids).await
    }

    async fn show(&mut self, ids: &[Uuid]) -> Result<(), Failure> {
        let anchors: Vec<Anchor> = ids.iter().copied().map(anchor).collect();
        self.push(Change::Present { anchors }, std::mem::size_of_val(ids)).await
    }

    /// The refresh is complete: only now its cookie and its present phase count.
    async fn done(mut self, cookie: Option<&[u8]>) -> Result<DeltaEnd, Failure> {
        self.keep(cookie);
        let mut next = SourceState { behind: false, ..self.before.clone() };
        if let Some(cookie) = self.cookie.take() {
            next.cookie = Some(cookie);
        }
        if let Some(generation) = self.generation {
            self.push(Change::FullEnd { generation }, 0).await?;
            next.generation = generation;
            next.objects = self.alive;
            self.end.full = true;
        } else if self.is_suspicious() {
            next.cookie = None;
            self.batches.close(next).await?;
            return Ok(DeltaEnd::Relist("suspicious-delta"));
        }
        if self.changed || next != *self.before {
            self.batches.close(next).await?;
        }
        Ok(DeltaEnd::Done(self.end))
    }

    /// A server that lost our cookie may answer with everything and look like one that had a mass
    /// update. Deletes would be missed, so a listing has to tell.
    fn is_suspicious(&self) -> bool {
        let (sent, known) = (self.end.entries, self.before.objects);
        sent >= SUSPICIOUS_ENTRIES_MIN && sent * 100 >= known * SUSPICIOUS_PERCENT_MIN
    }

    /// A server that was killed right after a delete forgets its newest change number until the
    /// next write (L-75). The first time it is given until the next poll, the second time it is
    /// listed.
    async fn server_behind(mut self) -> Result<DeltaEnd, Failure> {
        if self.before.behind {
            return Ok(DeltaEnd::Relist("server-behind"));
        }
        self.batches.close(SourceState { behind: true, ..self.before.clone() }).await?;
        Ok(DeltaEnd::Done(self.end))
    }
}

fn anchor(id: Uuid) -> Anchor {
    Anchor(id.to_vec())
}

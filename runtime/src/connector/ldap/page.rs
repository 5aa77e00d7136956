//! Listings: a base flows in, everything below it flows out in pages (RFC 2696), framed by the
//! begin and the end of a generation.

use ldap3::Scope;

use super::control::{PAGED, paged, paged_done};
use super::decode::decode;
use super::fault::{Failure, of_search};
use super::message::{DONE, ENTRY, Message, REFERENCE};
use super::search::{Request, Search};
use super::session::Session;
use crate::connector::batch::Batches;
use crate::edge::{BatchSink, Change, PollEnd, SourceState};

/// Pages without a single entry that may follow each other: some servers filter after paging, but a
/// listing has to get somewhere.
const EMPTY_PAGES_MAX: u32 = 64;

/// What one page held.
struct Page {
    entries: u64,
    referrals: u64,
    /// Where the next page begins; empty: this was the last one.
    cookie: Vec<u8>,
}

/// Lists everything below `base` in a new generation.
///
/// Takes: the state before; what is to hold afterwards, up to generation and count. Errors: any
/// result but success, on any page: then the generation stays open and nothing is swept (L-04).
pub async fn list(
    session: &mut Session,
    base: &str,
    filter: &str,
    reason: &'static str,
    before: &SourceState,
    after: SourceState,
    sink: &mut dyn BatchSink,
) -> Result<PollEnd, Failure> {
    let generation = before.generation + 1;
    let mut batches = Batches::new(sink, base);
    batches.push(Change::FullBegin { generation, reason }, 0).await?;
    // The number is used up from here on: were it used again after a crash, objects that only the
    // unfinished listing showed would count as shown by the next one.
    batches.close(SourceState { generation, ..before.clone() }).await?;
    let mut end = PollEnd { full: true, ..PollEnd::default() };
    let (mut cookie, mut empty_pages) = (vec![], 0);
    loop {
        let page = read(session, base, filter, &cookie, &mut batches).await?;
        end.entries += page.entries;
        end.referrals += page.referrals;
        empty_pages = if page.entries == 0 { empty_pages + 1 } else { 0 };
        if page.cookie.is_empty() {
            break;
        }
        if empty_pages == EMPTY_PAGES_MAX {
            return Err(Failure::Protocol(format!("{EMPTY_PAGES_MAX} pages in a row are empty")));
        }
        cookie = page.cookie;
    }
    // An empty answer is no evidence of deletion (L-05).
    if end.entries == 0 && before.objects > 0 {
        return Err(Failure::Config {
            message: format!("the base shows nothing, where it showed {} objects", before.objects),
            hint: "may the bind account still read below the base?".to_owned(),
        });
    }
    batches.push(Change::FullEnd { generation }, 0).await?;
    batches.close(SourceState { generation, objects: end.entries, ..after }).await?;
    Ok(end)
}

async fn read(
    session: &mut Session,
    base: &str,
    filter: &str,
    cookie: &[u8],
    batches: &mut Batches<'_>,
) -> Result<Page, Failure> {
    let Session { connection, wanted, requested, .. } = session;
    let controls = vec![paged(connection.limits.page_entries, cookie)];
    let request = Request { base, scope: Scope::Subtree, filter, attributes: requested, controls };
    let mut search = Search::start(connection, request).await?;
    let mut page = Page { entries: 0, referrals: 0, cookie: vec![] };
    loop {
        let frame = search.next().await?;
        let message = Message::parse(&frame.bytes)?;
        match message.tag {
            ENTRY => {
                let (entry, faults, bytes) = decode(wanted, &message.entry()?, None)?;
                // Room in the window is free before the sink is waited for.
                drop(frame);
                page.entries += 1;
                batches.push(Change::Upsert(entry), bytes).await?;
                for fault in faults {
                    batches.push(fault, 0).await?;
                }
            }
            REFERENCE => page.referrals += 1,
            DONE => {
                let outcome = message.outcome()?;
                if outcome.code != 0 {
                    return Err(of_search(&outcome));
                }
                // Without it nobody knows whether this was everything.
                let control = message.control(PAGED)?.ok_or_else(|| {
                    Failure::Protocol("the answer to a paged search has no page control".to_owned())
                })?;
                page.cookie = paged_done(control)?.to_vec();
                return Ok(page);
            }
            _ => {}
        }
    }
}

//! One search: a request flows in, checked answers flow out one by one, each in time (L-23).

use ldap3::controls::RawControl;
use ldap3::{Scope, SearchStream};
use tokio::time::{Instant, timeout_at};

use super::connect::{Connection, late};
use super::fault::Failure;
use super::guard::Frame;
use super::message::{DONE, Message};

/// What to search for.
pub struct Request<'r> {
    pub base: &'r str,
    pub scope: Scope,
    pub filter: &'r str,
    /// Names of attributes; none means all.
    pub attributes: &'r [String],
    pub controls: Vec<RawControl>,
}

/// A search under way. Dropped before its end it takes the connection with it (L-26).
pub struct Search<'c> {
    connection: &'c mut Connection,
    stream: SearchStream<'c, String, &'c [String]>,
    /// `None` once the result came.
    id: Option<i32>,
    answered: bool,
    deadline: Instant,
}

impl<'c> Search<'c> {
    /// Sends the request.
    pub async fn start(
        connection: &'c mut Connection,
        request: Request<'c>,
    ) -> Result<Self, Failure> {
        let deadline = Instant::now() + connection.limits.page;
        connection.ldap.with_controls(request.controls);
        let Request { base, scope, filter, attributes, .. } = request;
        let sent = connection.ldap.streaming_search(base, scope, filter, attributes);
        let mut stream = match timeout_at(deadline, sent).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(ldap3::LdapError::FilterParsing)) => {
                return Err(Failure::Config {
                    message: format!("`{filter}` is no filter"),
                    hint: "filters are written as in RFC 4515: `(objectClass=person)`".to_owned(),
                });
            }
            Ok(Err(_)) => return Err(connection.ended()),
            Err(_) => return Err(late("sending a search", connection.limits.page)),
        };
        let id = Some(stream.ldap_handle().last_id());
        Ok(Self { connection, stream, id, answered: false, deadline })
    }

    /// The next answer; the one with tag [`DONE`] is the last.
    ///
    /// Errors: the time is over, or the connection ended; then the search is over too.
    pub async fn next(&mut self) -> Result<Frame, Failure> {
        let limits = self.connection.limits;
        let (what, limit) = if self.answered {
            ("the next answer to a search", limits.next_answer)
        } else {
            ("the first answer to a search", limits.first_answer)
        };
        let by = self.deadline.min(Instant::now() + limit);
        let frame = match timeout_at(by, self.connection.frames.recv()).await {
            Ok(Some(frame)) => frame,
            Ok(None) => {
                self.id = None;
                return Err(self.connection.ended());
            }
            Err(_) if by == self.deadline => return Err(late("a page", limits.page)),
            Err(_) => return Err(late(what, limit)),
        };
        self.answered = true;
        if Message::parse(&frame.bytes)?.tag == DONE {
            self.id = None;
            // `ldap3` never sees answers to searches, so it has to be told that this one is over.
            self.stream.finish().await;
        }
        Ok(frame)
    }
}

impl Drop for Search<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // The guard may be gone already: then there is nobody left to tell.
            let _ = self.connection.abandon.send(id);
        }
    }
}

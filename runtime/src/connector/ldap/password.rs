//! Passwords at an LDAP server: who is meant and a password flow in, what the server made of it
//! flows out (password.md 9). The one place of the connector that writes.
//!
//! There is one connection, kept between passwords: an operation waits for the one before it.

mod encode;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{Answer, Category};
use kakehi_password::classify::{self, LdapAnswer, Phase, Rules};
use kakehi_password::door::{Lookup, PasswordTarget, RemoteUser, Reply};
use kakehi_password::precheck;
use kakehi_password::scrub::scrub;
use kakehi_password::secret::Password;
use kakehi_password::target::{DeliverAs, Find};
use ldap3::{Scope, SearchOptions};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::connect::{Connection, LostWrite, late};
use super::control;
use super::fault::{Failure, PEER_TEXT_CHARS_MAX, shown};
use super::guard::Frame;
use super::message::{DONE, ENTRY, Message};
use super::options::LdapOptions;
use super::search::{Request, Search};
use super::session::is_alive;

/// How long a server may take to find a user, and to set a password: hashes are made slow on
/// purpose.
pub const ANSWER_MS_MAX: u64 = 30_000;

/// Hits that are asked for: the second one says that there are several.
const HITS_MAX: i32 = 2;

/// The server stopped at [`HITS_MAX`].
const SIZE_LIMIT_EXCEEDED: u32 = 4;

/// Asks for entries without attributes (RFC 4511 4.5.1.8).
const NO_ATTRIBUTES: &str = "1.1";

/// How a password is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LdapStyle {
    /// AD: `unicodePwd` is replaced. Only over TLS or a Unix socket.
    UnicodePwd,
    /// The password modify operation (RFC 3062): the server hashes and checks.
    Exop,
    /// `userPassword` is replaced. Servers keep it as it is sent unless they are told otherwise:
    /// OpenLDAP hashes it with `ppolicy_hash_cleartext` only.
    UserPassword,
}

pub struct LdapPasswordOptions {
    /// Where and as whom; `bases` and `filter` say among whom users are looked up.
    pub ldap: LdapOptions,
    /// What the value of a look-up is compared with: `uid`, `sAMAccountName`, ...
    pub match_attribute: String,
    pub find: Find,
    pub style: LdapStyle,
    pub deliver_as: DeliverAs,
    pub classify: Rules,
    /// What can be told without a call (O-35).
    pub precheck: precheck::Rules,
    /// [`ANSWER_MS_MAX`], but in tests.
    pub answer_limit: Duration,
}

/// Why passwords cannot be set with these options.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PasswordOptionsError {
    #[error("`{0}` is no name of an attribute")]
    MatchAttribute(String),
    #[error("there is no base to look users up below")]
    NoBase,
    #[error("only `userPassword` takes hashes: use the style `user_password`, or `plain`")]
    Hashed,
}

/// An LDAP server that takes passwords.
pub struct LdapPasswords {
    options: LdapPasswordOptions,
    state: Mutex<State>,
    /// Connections of older generations are not used any more.
    generation: AtomicU64,
}

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    /// Why the bind was refused. It is not tried again, since accounts are locked that way (L-22):
    /// a changed credential makes a new target.
    refused: Option<String>,
}

struct Kept {
    connection: Connection,
    generation: u64,
    /// The last thing that it was used for was a look-up: it stood a moment ago.
    proven: bool,
}

// === impl LdapPasswords ===

impl LdapPasswords {
    /// Prepares a target; connects to nothing.
    ///
    /// Errors: [`PasswordOptionsError`] for options that cannot be meant.
    pub fn new(options: LdapPasswordOptions) -> Result<Self, PasswordOptionsError> {
        let name = &options.match_attribute;
        // A description or an OID (RFC 4512 section 2.5): anything else could say more in a filter.
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        if name.is_empty() || !plain {
            return Err(PasswordOptionsError::MatchAttribute(name.clone()));
        }
        if options.ldap.bases.is_empty() {
            return Err(PasswordOptionsError::NoBase);
        }
        if options.deliver_as != DeliverAs::Plain && options.style != LdapStyle::UserPassword {
            return Err(PasswordOptionsError::Hashed);
        }
        Ok(Self { options, state: Mutex::default(), generation: AtomicU64::new(0) })
    }

    /// The kept connection, else a new one.
    async fn connection(&self, state: &mut State) -> Result<Kept, Reply> {
        if let Some(why) = &state.refused {
            return Err(refused(format!("{why}; not tried again until it changes")));
        }
        let generation = self.generation.load(Ordering::SeqCst);
        match state.kept.take() {
            Some(kept) if kept.generation == generation => return Ok(kept),
            _ => {}
        }
        let opened = Connection::open(&self.options.ldap).await;
        if let Err(Failure::Refused(why)) = &opened {
            state.refused = Some(why.clone());
        }
        let connection = opened.map_err(|failure| reply_to(&failure, false))?;
        Ok(Kept { connection, generation, proven: true })
    }

    /// A connection that stands. Servers and firewalls cut idle ones, and a password that goes into
    /// one of those leaves its outcome open.
    async fn standing(&self, state: &mut State) -> Result<Kept, Reply> {
        let mut kept = self.connection(state).await?;
        let limit = self.options.answer_limit;
        let connection = &mut kept.connection;
        if kept.proven || timeout(limit, is_alive(connection)).await.unwrap_or(false) {
            return Ok(kept);
        }
        drop(kept);
        self.connection(state).await
    }

    /// As [`LdapPasswords::look`], in time.
    async fn look_in_time(&self, kept: &mut Kept, filter: &str) -> Result<Looked, Failure> {
        let limit = self.options.answer_limit;
        let look = timeout(limit, self.look(&mut kept.connection, filter));
        look.await.unwrap_or_else(|_| Err(late("the look-up", limit)))
    }

    /// The DNs below all bases, two at most.
    async fn look(&self, connection: &mut Connection, filter: &str) -> Result<Looked, Failure> {
        let mut found = vec![];
        for base in &self.options.ldap.bases {
            let attributes = [NO_ATTRIBUTES.to_owned()];
            let request = Request {
                base,
                scope: Scope::Subtree,
                filter,
                attributes: &attributes,
                controls: vec![],
            };
            connection.ldap.with_search_options(SearchOptions::new().sizelimit(HITS_MAX));
            let mut search = Search::start(connection, request).await?;
            loop {
                let frame = search.next().await?;
                let message = Message::parse(&frame.bytes)?;
                match message.tag {
                    ENTRY => found.push(message.entry()?.dn.to_owned()),
                    DONE => {
                        let outcome = message.outcome()?;
                        let enough = outcome.code == SIZE_LIMIT_EXCEEDED && found.len() > 1;
                        if outcome.code != 0 && !enough {
                            return Ok(Looked::Ended(outcome.code, outcome.text.to_owned()));
                        }
                        break;
                    }
                    // A reference to another server: never followed.
                    _ => {}
                }
            }
        }
        Ok(Looked::Found(found))
    }

    fn only(&self, looked: Looked) -> Result<RemoteUser, Reply> {
        let attribute = &self.options.match_attribute;
        let reply = |answer, message| Err(Reply { answer, detail: Some(message) });
        match looked {
            Looked::Ended(code, text) => {
                let answer = LdapAnswer { code, diagnostic: &text, policy: None };
                let answer = match classify::ldap(Phase::Find, answer, &self.options.classify) {
                    // A search that failed found nobody.
                    Answer::Ok => Answer::Refused,
                    answer => answer,
                };
                reply(answer, format!("the search ended with result {code}: {}", shown(&text)))
            }
            Looked::Found(mut dns) => match (dns.pop(), dns.len()) {
                (Some(id), 0) => Ok(RemoteUser { id, etag: None }),
                (None, _) => reply(Answer::NotFound, format!("no entry has this `{attribute}`")),
                _ => reply(Answer::Ambiguous, format!("several entries have this `{attribute}`")),
            },
        }
    }

    /// Sends request 2 over a connection, once.
    async fn send(
        &self,
        connection: &mut Connection,
        user: &RemoteUser,
        form: &str,
        password: &Password,
    ) -> Result<Reply, LostWrite> {
        let style = self.options.style;
        if !connection.protected && (style == LdapStyle::UnicodePwd || !connection.url.is_local()) {
            return Ok(refused(
                "passwords are not sent over a connection in clear: use `ldaps://`, `starttls: \
                 true` or `ldapi://`"
                    .to_owned(),
            ));
        }
        let request = |id| match style {
            LdapStyle::UnicodePwd => encode::unicode_pwd(id, &user.id, form),
            LdapStyle::Exop => encode::exop(id, &user.id, form),
            LdapStyle::UserPassword => encode::user_password(id, &user.id, form),
        };
        let frame = connection.write(request, self.options.answer_limit).await?;
        self.judge(&frame, password).map_err(|failure| LostWrite { failure, sent: true })
    }

    fn judge(&self, frame: &Frame, password: &Password) -> Result<Reply, Failure> {
        let message = Message::parse(&frame.bytes)?;
        let outcome = message.outcome()?;
        let policy = message.control(control::PASSWORD_POLICY)?;
        let policy = policy.and_then(|value| control::password_policy_error(value).ok().flatten());
        let answer = LdapAnswer {
            code: outcome.code,
            diagnostic: outcome.text,
            policy: policy.and_then(classify::policy_error),
        };
        let answer = classify::ldap(Phase::Set, answer, &self.options.classify);
        let detail = (outcome.code != 0).then(|| {
            let words = scrub(outcome.text, password, PEER_TEXT_CHARS_MAX);
            format!("the server answered {}: {}", outcome.code, shown(&words))
        });
        Ok(Reply { answer, detail })
    }

    /// `(&<filter>(<attribute>=<value>))`
    fn filter(&self, value: &str) -> String {
        let LdapPasswordOptions { ldap, match_attribute, .. } = &self.options;
        format!("(&{}({match_attribute}={}))", ldap.filter, escaped(value))
    }
}

/// How a search ended.
enum Looked {
    Found(Vec<String>),
    /// With a result other than success.
    Ended(u32, String),
}

#[async_trait]
impl PasswordTarget for LdapPasswords {
    fn name(&self) -> &ConnectorName {
        &self.options.ldap.name
    }

    async fn find(&self, user: &Lookup) -> Result<RemoteUser, Reply> {
        if let (Find::Cached, Some(id)) = (self.options.find, &user.remote_id) {
            return Ok(RemoteUser { id: id.clone(), etag: None });
        }
        if user.value.is_empty() {
            let attribute = &self.options.match_attribute;
            let detail = Some(format!("there is no value to look `{attribute}` up by"));
            return Err(Reply { answer: Answer::Rejected(Category::Other), detail });
        }
        let filter = self.filter(&user.value);
        let mut state = self.state.lock().await;
        loop {
            let old = state.kept.is_some();
            let mut kept = self.connection(&mut state).await?;
            match self.look_in_time(&mut kept, &filter).await {
                Ok(looked) => {
                    state.kept = Some(Kept { proven: true, ..kept });
                    return self.only(looked);
                }
                // Servers and firewalls cut idle connections, and a restart is no failure either.
                Err(Failure::Unavailable(_)) if old => {}
                Err(failure) => return Err(reply_to(&failure, false)),
            }
        }
    }

    async fn set(&self, user: &RemoteUser, password: &Password) -> Reply {
        // The empty DN is the one that is bound: ourselves.
        if user.id.is_empty() {
            let detail = Some("the user's DN is empty".to_owned());
            return Reply { answer: Answer::Rejected(Category::Other), detail };
        }
        let Ok(form) = self.options.deliver_as.form(password) else {
            let answer = Answer::Unavailable { retry_after: None, server_error: false };
            let detail = Some("the system gives no random bytes for a salt".to_owned());
            return Reply { answer, detail };
        };
        let mut state = self.state.lock().await;
        let mut kept = match self.standing(&mut state).await {
            Ok(kept) => kept,
            Err(reply) => return reply,
        };
        match self.send(&mut kept.connection, user, &form, password).await {
            Ok(reply) => {
                state.kept = Some(Kept { proven: false, ..kept });
                reply
            }
            Err(LostWrite { failure, sent }) => reply_to(&failure, sent),
        }
    }

    fn refuses(&self, password: &Password) -> Option<Category> {
        self.options.precheck.refuses(password)
    }

    fn close_connections(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

/// What a failure without an answer means; `sent`: a password was on its way.
fn reply_to(failure: &Failure, sent: bool) -> Reply {
    let unavailable = |server_error| Answer::Unavailable { retry_after: None, server_error };
    let (answer, message) = match failure {
        Failure::Unavailable(message) => (unavailable(false), message.clone()),
        Failure::Protocol(message) => {
            (unavailable(true), format!("the server broke the protocol: {message}"))
        }
        Failure::Refused(message) | Failure::Tls(message) => (Answer::Refused, message.clone()),
        Failure::Config { message, hint } | Failure::Limit { message, hint } => {
            (Answer::Refused, format!("{message}; {hint}"))
        }
        Failure::RefreshRequired | Failure::Behind | Failure::Sink(_) => {
            (unavailable(true), "the server is unwilling".to_owned())
        }
    };
    let answer = if sent { Answer::Uncertain } else { answer };
    Reply { answer, detail: Some(message) }
}

fn refused(message: String) -> Reply {
    Reply { answer: Answer::Refused, detail: Some(message) }
}

/// A value in a filter (RFC 4515 section 3): every byte that is not plainly harmless is escaped.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._@".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("\\{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l06_5_no_value_can_leave_its_place_in_the_filter() {
        for (value, expected) in [
            ("taro.kakehi@example.jp", "taro.kakehi@example.jp"),
            ("*)(uid=*", "\\2a\\29\\28uid\\3d\\2a"),
            ("a\\2ab\0", "a\\5c2ab\\00"),
            ("筧", "\\e7\\ad\\a7"),
            (" #", "\\20\\23"),
        ] {
            assert_eq!(escaped(value), expected);
        }
    }

    #[test]
    fn what_was_sent_and_not_answered_is_uncertain_whatever_failed() {
        for (failure, unsent) in [
            (
                Failure::Unavailable("x".into()),
                Answer::Unavailable { retry_after: None, server_error: false },
            ),
            (
                Failure::Protocol("x".into()),
                Answer::Unavailable { retry_after: None, server_error: true },
            ),
            (Failure::Tls("x".into()), Answer::Refused),
            (Failure::Refused("x".into()), Answer::Refused),
            (Failure::Config { message: "x".into(), hint: "y".into() }, Answer::Refused),
        ] {
            assert_eq!(reply_to(&failure, false).answer, unsent);
            assert_eq!(reply_to(&failure, true).answer, Answer::Uncertain);
        }
    }
}

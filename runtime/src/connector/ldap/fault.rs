//! What can be wrong with a peer, from one message (a fault) to a whole poll (a failure). Each
//! failure knows its kind, so that nobody ever has to read a text to decide what to do (S-12).

use super::ber::BerError;
use super::message::Outcome;
use crate::edge::{DirectoryError, SinkClosed};

/// Characters of a peer's text that are shown: enough for a diagnosis, too few to flood a log.
pub const PEER_TEXT_CHARS_MAX: usize = 200;

/// The first thing that ended a connection; kept as a value by the guard (L-36). It never holds
/// content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (message {id}, byte {offset})")]
pub struct Fault {
    pub kind: FaultKind,
    /// Of the message in which it was found; 0 if there is none.
    pub id: i32,
    /// Where that message began.
    pub offset: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    #[error("a message of {announced} bytes was announced, {max} are allowed")]
    TooLarge { announced: usize, max: usize },
    #[error(transparent)]
    Ber(#[from] BerError),
    /// An answer to nothing that was asked, or of the wrong kind (L-33).
    #[error("the answer fits no request")]
    Unasked,
    /// Bytes behind the STARTTLS answer would be taken for protected ones (L-37).
    #[error("bytes follow the STARTTLS answer before the handshake")]
    Injection,
    /// We were about to send what a reader never sends.
    #[error("operation {tag:#04x} is not for reading and was not sent")]
    Forbidden { tag: u8 },
    #[error("the server ends the connection: {text} ({code})")]
    Disconnected { code: u32, text: String },
    #[error("the connection was closed")]
    Closed,
    #[error("the connection broke: {0}")]
    Broken(std::io::ErrorKind),
}

/// Why a poll cannot go on.
#[derive(Debug)]
pub enum Failure {
    Unavailable(String),
    Refused(String),
    Tls(String),
    Protocol(String),
    Limit {
        message: String,
        hint: String,
    },
    Config {
        message: String,
        hint: String,
    },
    /// RFC 4533: the server wants us to start over (4096).
    RefreshRequired,
    /// RFC 4533: our state is newer than the server's (53, L-75).
    Behind,
    Sink(SinkClosed),
}

impl From<SinkClosed> for Failure {
    fn from(closed: SinkClosed) -> Self {
        Self::Sink(closed)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            FaultKind::Disconnected { .. } | FaultKind::Closed | FaultKind::Broken(_) => {
                Self::Unavailable(fault.kind.to_string())
            }
            _ => Self::Protocol(fault.to_string()),
        }
    }
}

impl From<BerError> for Failure {
    fn from(error: BerError) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl Failure {
    /// Says at which server and doing what, in front of the text.
    #[must_use]
    pub fn at(self, place: &str) -> Self {
        let put = |message: String| format!("{place}: {message}");
        match self {
            Self::Unavailable(message) => Self::Unavailable(put(message)),
            Self::Refused(message) => Self::Refused(put(message)),
            Self::Tls(message) => Self::Tls(put(message)),
            Self::Protocol(message) => Self::Protocol(put(message)),
            Self::Limit { message, hint } => Self::Limit { message: put(message), hint },
            Self::Config { message, hint } => Self::Config { message: put(message), hint },
            other => other,
        }
    }

    /// The same for the rest of the product.
    pub fn of_source(self, source_name: &str) -> DirectoryError {
        let source_name = source_name.to_owned();
        match self {
            Self::Unavailable(message) => DirectoryError::Unavailable { source_name, message },
            Self::Refused(message) => DirectoryError::Refused { source_name, message },
            Self::Tls(message) => DirectoryError::Tls { source_name, message },
            Self::Protocol(message) => DirectoryError::Protocol { source_name, message },
            Self::Limit { message, hint } => DirectoryError::Limit { source_name, message, hint },
            Self::Config { message, hint } => DirectoryError::Config { source_name, message, hint },
            Self::RefreshRequired => DirectoryError::Protocol {
                source_name,
                message: "a refresh was demanded where no cookie was sent".to_owned(),
            },
            Self::Behind => DirectoryError::Unavailable {
                source_name,
                message: "the server is unwilling to search (53)".to_owned(),
            },
            Self::Sink(closed) => DirectoryError::Sink(closed),
        }
    }
}

/// What a result other than success means for a search (ldap.md 9).
pub fn of_search(outcome: &Outcome<'_>) -> Failure {
    let message = format!("the search ended with {}", described(outcome));
    match outcome.code {
        3 | 4 | 11 => Failure::Limit {
            message,
            hint: "give the bind account `size=unlimited time=unlimited` on the server".to_owned(),
        },
        10 => Failure::Config {
            message: format!("{message}, to {}", shown(&outcome.referrals.join(" "))),
            hint: "referrals are never followed: name the server that holds the base".to_owned(),
        },
        12 => Failure::Config {
            message,
            hint: "the server lacks paged results (RFC 2696) or content synchronization".to_owned(),
        },
        32 | 34 => Failure::Config {
            message,
            hint: "does the base exist, and may the bind account read it?".to_owned(),
        },
        7 | 8 | 13 | 48 | 49 | 50 => Failure::Refused(message),
        53 => Failure::Behind,
        4096 => Failure::RefreshRequired,
        2 => Failure::Protocol(message),
        _ => Failure::Unavailable(message),
    }
}

/// What a result other than success means for a bind (L-22).
pub fn of_bind(code: u32, text: &str) -> Failure {
    let outcome = Outcome { code, text, referrals: vec![], name: None };
    let message = format!("the bind ended with {}{}", described(&outcome), account_state(text));
    match code {
        7 | 8 | 13 | 14 | 34 | 48 | 49 | 50 | 53 => Failure::Refused(message),
        _ => Failure::Unavailable(message),
    }
}

/// AD tells the state of the account in a data code inside the text of result 49.
fn account_state(text: &str) -> &'static str {
    const STATES: [(&str, &str); 3] = [
        ("data 532", ": the password has expired"),
        ("data 773", ": the password must be changed"),
        ("data 775", ": the account is locked"),
    ];
    STATES.iter().find(|(code, _)| text.contains(code)).map_or("", |(_, state)| state)
}

fn described(outcome: &Outcome<'_>) -> String {
    let name = code_name(outcome.code);
    if outcome.text.is_empty() {
        format!("{name} ({})", outcome.code)
    } else {
        format!("{name} ({}, `{}`)", outcome.code, shown(outcome.text))
    }
}

/// A peer's text, harmless to print.
pub fn shown(text: &str) -> String {
    text.chars().take(PEER_TEXT_CHARS_MAX).flat_map(char::escape_debug).collect()
}

/// The name of a result code (RFC 4511 appendix A, RFC 4533).
fn code_name(code: u32) -> &'static str {
    match code {
        1 => "operationsError",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded",
        7 => "authMethodNotSupported",
        8 => "strongerAuthRequired",
        10 => "referral",
        11 => "adminLimitExceeded",
        12 => "unavailableCriticalExtension",
        13 => "confidentialityRequired",
        14 => "saslBindInProgress",
        32 => "noSuchObject",
        34 => "invalidDNSyntax",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        80 => "other",
        4096 => "e-syncRefreshRequired",
        _ => "result",
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(failure: Failure, expected: Expect) {
        let error = failure.at("`ldap://h`").of_source("hr");
        let kind = format!("{error:?}");
        let kind = kind.split([' ', '(']).next().unwrap_or_default();
        let text = error.to_string();
        expected.assert_eq(&format!("{kind}: {}", text.replace("source `hr`: `ldap://h`: ", "")));
    }

    fn search(code: u32, text: &str) -> Failure {
        of_search(&Outcome { code, text, referrals: vec!["ldap://other/"], name: None })
    }

    #[test]
    fn each_result_of_a_search_has_its_kind() {
        check(search(4, ""), expect!["Limit: the search ended with sizeLimitExceeded (4)"]);
        check(
            search(10, ""),
            expect!["Config: the search ended with referral (10), to ldap://other/"],
        );
        check(
            search(32, "gone\n"),
            expect![[r#"Config: the search ended with noSuchObject (32, `gone\n`)"#]],
        );
        check(
            search(50, ""),
            expect!["Refused: the search ended with insufficientAccessRights (50)"],
        );
        check(search(51, ""), expect!["Unavailable: the search ended with busy (51)"]);
        check(search(77, ""), expect!["Unavailable: the search ended with result (77)"]);
    }

    #[test]
    fn l22_a_refused_bind_names_the_state_of_the_account() {
        check(of_bind(49, ""), expect!["Refused: the bind ended with invalidCredentials (49)"]);
        for (text, state) in [
            ("data 532", "the password has expired"),
            ("data 773", "the password must be changed"),
            ("data 775", "the account is locked"),
        ] {
            let Failure::Refused(message) = of_bind(49, text) else { panic!("not refused") };
            assert!(message.ends_with(state), "{message}");
        }
        check(of_bind(52, ""), expect!["Unavailable: the bind ended with unavailable (52)"]);
    }

    #[test]
    fn a_peers_text_is_escaped_and_cut() {
        assert_eq!(shown("a\u{1b}[2J"), "a\\u{1b}[2J");
        assert_eq!(shown(&"x".repeat(500)).len(), PEER_TEXT_CHARS_MAX);
    }
}

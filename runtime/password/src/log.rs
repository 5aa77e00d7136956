//! Events of the lane in the log: `PW...` with its text in English and, as a field, in Japanese
//! (password.md 11). What servers said stands apart, for those who ask for details (O-16, O-36).

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{Note, NoteKind};

use crate::words::{Level, Words, words};

/// Writes one event of the state machine.
pub fn note(note: &Note) {
    let target = note.target.as_ref().or(note.slot.as_ref().map(|slot| &slot.target));
    let category = match &note.kind {
        NoteKind::Rejected(category) => Some(category.as_str()),
        _ => None,
    };
    let target = target.map(ConnectorName::as_str);
    write(&words(note), note.login.as_deref(), target, category);
}

/// Writes an event of the lane as a whole.
pub fn say(words: &Words) {
    write(words, None, None, None);
}

fn write(words: &Words, user: Option<&str>, target: Option<&str>, category: Option<&str>) {
    macro_rules! event {
        ($level:expr) => {
            tracing::event!(
                target: "kakehi::password",
                $level,
                event_id = words.code,
                user,
                target.name = target,
                category,
                ja = words.ja,
                "{}",
                words.en
            )
        };
    }
    match words.level {
        Level::Debug => event!(tracing::Level::DEBUG),
        Level::Info => event!(tracing::Level::INFO),
        Level::Warn => event!(tracing::Level::WARN),
        Level::Error => event!(tracing::Level::ERROR),
    }
}

/// What a server said, already scrubbed.
pub fn detail(target: &ConnectorName, request: &'static str, detail: &str) {
    tracing::debug!(
        target: "kakehi::password::detail",
        request,
        target.name = target.as_str(),
        "the server said: {detail}"
    );
}

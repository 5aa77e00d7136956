//! A target: who is there, which password each one has, and how it answers today.

use std::collections::BTreeMap;

use kakehi_engine::password::{Answer, Category};
use kakehi_engine::time::Timestamp;

/// A password is its number.
pub type Password = u32;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mood {
    Well,
    Down,
    /// Every request is answered with an error of its own.
    Failing,
    /// It cannot set this person's password, and does not say so.
    FailsFor(&'static str),
    /// Our credential is refused, for reading and writing or for writing only.
    Refusing,
    ReadOnly,
    /// Look-ups are not understood.
    Baffled,
    /// Every third password is too short; the one that somebody has is in the history.
    Strict,
}

pub struct Server {
    pub mood: Mood,
    pub people: BTreeMap<&'static str, Option<Password>>,
    /// Requests that were given up and are carried out nevertheless: when, whose, what.
    pub late: Vec<(Timestamp, &'static str, Password)>,
}

// === impl Server ===

impl Server {
    pub fn new() -> Self {
        Self { mood: Mood::Well, people: BTreeMap::new(), late: vec![] }
    }

    pub fn find(&self, person: &str) -> Answer {
        match self.mood {
            Mood::Down => Answer::Unavailable { retry_after: None, server_error: false },
            Mood::Failing => Answer::Unavailable { retry_after: None, server_error: true },
            Mood::Refusing => Answer::Refused,
            Mood::Baffled => Answer::Ambiguous,
            _ if !self.people.contains_key(person) => Answer::NotFound,
            _ => Answer::Ok,
        }
    }

    /// What it would answer to request 2; whoever asks carries it out.
    pub fn judge(&self, person: &str, password: Password) -> Answer {
        match self.mood {
            Mood::ReadOnly => Answer::Refused,
            Mood::FailsFor(whom) if whom == person => {
                Answer::Unavailable { retry_after: None, server_error: true }
            }
            Mood::Strict if self.people.get(person) == Some(&Some(password)) => {
                Answer::Rejected(Category::History)
            }
            Mood::Strict if password.is_multiple_of(3) => Answer::Rejected(Category::TooShort),
            Mood::Baffled => Answer::Rejected(Category::Other),
            _ => self.find(person),
        }
    }
}

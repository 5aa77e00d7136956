//! Passwords for users that were created and have none of their own (password.md 5.7).
//!
//! They go through the queue like any other, sealed by ourselves, as the oldest capture there can
//! be: whatever a source ever told of the user is newer.

use std::sync::Arc;

use kakehi_engine::password::{AgentSequence, INITIAL_AGENT, Operation, Reach, SlotKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::envelope::{self, KeyType, Metadata};
use crate::keys::PublicKey;
use crate::lane::Lane;
use crate::queue::{Arrived, QueueError};
use crate::secret::Password;

/// What users get.
pub enum Initial {
    None,
    /// The same for all.
    Default(Arc<Password>),
    /// Its own for each; nobody ever learns it.
    Random,
}

/// 192 bits, in characters that every policy and every keyboard knows.
const RANDOM_BYTES: usize = 24;
/// In front of the random part: each kind of character that policies ask for.
const EACH_KIND: &str = "aA1-";

#[derive(Debug, thiserror::Error)]
pub enum InitialError {
    #[error("no random bytes")]
    Random,
    #[error("the initial password cannot be sealed: {0}")]
    Seal(String),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

// === impl Initial ===

impl Initial {
    /// Puts the initial password of a user into the queue.
    pub async fn give(
        &self,
        lane: &Lane,
        key: &PublicKey,
        slot: &SlotKey,
        login: &str,
    ) -> Result<(), InitialError> {
        let random;
        let password = match self {
            Self::None => return Ok(()),
            Self::Default(password) => password,
            Self::Random => {
                random = random_password()?;
                &random
            }
        };
        let metadata = Metadata {
            source: INITIAL_AGENT.to_owned(),
            key_type: KeyType::Login,
            user_key: slot.user.to_string(),
            login: login.to_owned(),
            agent: INITIAL_AGENT.to_owned(),
            agent_epoch: 0,
            sequence: 0,
            captured_at_ms: u64::try_from(lane.now().0).unwrap_or(0),
            operation: Operation::Initial,
        };
        let sealed = envelope::seal(key, &metadata, password)
            .map_err(|error| InitialError::Seal(error.to_string()))?;
        let arrived = Arrived {
            kid: sealed.key_id().0,
            sealed: sealed.into_bytes(),
            origin: AgentSequence { agent: INITIAL_AGENT.into(), epoch: 0, sequence: 0 },
            captured_at: lane.now(),
            operation: Operation::Initial,
            source: INITIAL_AGENT.into(),
            user: slot.user.clone(),
            login: login.to_owned(),
            clamped: false,
            targets: [(slot.target.clone(), Reach::Deliver)].into(),
            echo: None,
        };
        lane.capture(arrived, &[]).await?;
        Ok(())
    }
}

fn random_password() -> Result<Password, InitialError> {
    let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
    SystemRandom::new().fill(&mut *bytes).map_err(|_| InitialError::Random)?;
    let mut text = Zeroizing::new(String::with_capacity(EACH_KIND.len() + RANDOM_BYTES * 2));
    text.push_str(EACH_KIND);
    for byte in bytes.iter() {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
    }
    Ok(Password::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n14_random_passwords_differ_and_suit_common_policies() {
        let (one, other) = (random_password().unwrap(), random_password().unwrap());
        assert_ne!(one.expose(), other.expose());
        let text = one.expose();
        assert!(text.len() >= 50 && text.chars().all(|letter| letter.is_ascii_graphic()));
        for kind in [char::is_ascii_uppercase, char::is_ascii_lowercase, char::is_ascii_digit] {
            assert!(text.chars().any(|letter| kind(&letter)));
        }
    }
}

//! The script of `samba-tool user syncpasswords` (password.md 8.2). LDIF of one account flows in, a
//! capture flows out if its password is another one than last time.
//!
//! Samba's daemon goes on only when it reads `DONE-EXIT: `. Anything else ends it; it resumes at
//! the same account later. So that word stands for "nothing can be lost any more", and everything
//! that may go better another time ends without it.

mod account;
mod seen;

use std::io::Read;
use std::path::PathBuf;

use kakehi_engine::password::Operation;

use super::input::{self, InputError};
use super::{Agent, AgentError, Change, Outcome, Taken};
use crate::envelope::KeyType;

use account::Account;
use seen::{Mark, Seen, SeenError};

/// What the hook is told besides what every agent is.
#[derive(Clone, Debug)]
pub struct Options {
    /// File of what was seen last; made when it is missing. No passwords are in it.
    pub state: PathBuf,
}

/// What became of the account.
enum Handled {
    Nothing,
    NoPassword,
    Deleted,
    /// The password is none that can be captured, today or another day.
    Unusable(String),
    Taken(Taken),
}

#[derive(Debug, thiserror::Error)]
enum HookError {
    #[error("the LDIF cannot be read: {0}")]
    Ldif(#[from] account::AccountError),
    #[error("the state cannot be used: {0}")]
    Seen(#[from] SeenError),
    #[error(transparent)]
    Agent(#[from] AgentError),
}

/// Handles the account on `input`.
///
/// Gives: exit code 0 and the line that begins with `DONE-EXIT: `, or another code and a line that
/// does not. The caller prints the line, and nothing before it: Samba reads both outputs as one.
/// Neither password nor LDIF is in it.
pub async fn samba_hook(agent: &Agent, options: &Options, input: &mut impl Read) -> Outcome {
    let handled = match handle(agent, options, input).await {
        Ok(handled) => handled,
        Err(HookError::Agent(error)) => return error.into(),
        Err(error) => return Outcome::new(75, error.to_string()),
    };
    let text = match handled {
        Handled::Nothing => "nothing to do".into(),
        Handled::NoPassword => "no virtualClearTextUTF8, nothing captured".into(),
        Handled::Deleted => "deleted, nothing to do".into(),
        Handled::Unusable(why) => format!("not captured: {why}"),
        Handled::Taken(Taken::Acknowledged(status)) => status.0,
        Handled::Taken(Taken::Spooled { why }) => format!("spooled: {why}"),
        Handled::Taken(Taken::SetAside { why }) => format!("refused, and set aside: {why}"),
    };
    Outcome::done(format!("DONE-EXIT: {text}"))
}

async fn handle(
    agent: &Agent,
    options: &Options,
    input: &mut impl Read,
) -> Result<Handled, HookError> {
    let account = Account::read(input)?;
    let seen = Seen::open(&options.state)?;
    if account.deleted {
        seen.forget(&account.guid)?;
        return Ok(Handled::Deleted);
    }
    let Some(bytes) = account.password else { return Ok(Handled::NoPassword) };
    let before = seen.get(&account.guid)?;
    let same = before.as_ref().filter(|before| before.version.is_of(&account.version));
    if same.is_some_and(|before| before.safe) {
        return Ok(Handled::Nothing);
    }
    let password = match input::password(bytes) {
        Ok(password) => password,
        Err(error @ InputError::NotText(_)) => {
            tracing::warn!(target: "kakehi::password", event_id = "PW026", "{error}");
            return Ok(Handled::Unusable(error.to_string()));
        }
        Err(error) => return Ok(Handled::Unusable(error.to_string())),
    };
    // The number is kept before anything is sent: whatever ends us, the next try is the same
    // capture to the intake, not another one.
    let number = match same {
        Some(before) => before.number,
        None => agent.number()?,
    };
    let mut mark = Mark { version: account.version, number, safe: false };
    seen.put(&account.guid, &mark)?;
    let change = Change {
        key_type: KeyType::Guid,
        user_key: account.guid.clone(),
        login: account.login,
        captured_at_ms: mark.version.changed_at_ms(),
        operation: operation(before.is_some(), &mark.version),
    };
    let envelope = match agent.seal(&change, number, &password) {
        Ok(envelope) => envelope,
        Err(error) => return Ok(Handled::Unusable(error.to_string())),
    };
    drop(password);
    let taken = agent.hand_over(&envelope).await?;
    mark.safe = true;
    seen.put(&account.guid, &mark)?;
    Ok(Handled::Taken(taken))
}

/// Samba does not tell who changed a password. A first password is one of a new account; one that
/// must be changed at the next logon came from an administrator.
fn operation(known: bool, version: &account::Version) -> Operation {
    match version {
        // Accounts are made with a password nobody knows, and then given theirs.
        account::Version { key_version: Some(0..=2), .. } if !known => Operation::Create,
        account::Version { password_last_set: Some(0), .. } => Operation::Reset,
        _ => Operation::Change,
    }
}

#[cfg(test)]
mod tests;

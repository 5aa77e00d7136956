//! `kakehi password send`: one password from a program of the administrator's (password.md 8.1).

use std::io::Read;

use kakehi_engine::password::Operation;

use super::input::{self, InputError};
use super::{Agent, AgentError, Change, Outcome, Taken};
use crate::envelope::KeyType;

/// What the command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub key_type: KeyType,
    pub user_key: String,
    /// What the user is called at the source; empty: the user key.
    pub login: String,
    pub operation: Operation,
}

/// `--user-key`, understood.
///
/// Takes: `guid:...`, `uuid:...`, `dn:...`, `login:...` or `name:...`.
/// Errors: a sentence that says what is right.
pub fn parse_user_key(text: &str) -> Result<(KeyType, String), String> {
    let wanted = "write `guid:`, `uuid:`, `dn:` or `login:` and the value behind it";
    let Some((kind, key)) = text.split_once(':') else {
        return Err(format!("`{text}` is no user key: {wanted}"));
    };
    let key_type = match kind {
        "guid" | "uuid" => KeyType::Guid,
        "dn" => KeyType::Dn,
        "login" | "name" => KeyType::Login,
        _ => return Err(format!("`{kind}:` is no kind of user key: {wanted}")),
    };
    if key.is_empty() {
        return Err(format!("the user key is empty: {wanted}"));
    }
    let key = match key_type {
        KeyType::Guid => key.to_ascii_lowercase(),
        KeyType::Dn => kakehi_engine::object::dn_key(key),
        KeyType::Login => key.to_owned(),
    };
    Ok((key_type, key))
}

/// Takes the password from `input`, to its end; one newline there is not part of it.
///
/// Exit codes: 0 the intake has it, or the spool; 1 the intake refused it for ever; 2 the input is
/// no password; 75 nobody took it, and it must be sent again.
pub async fn send(agent: &Agent, options: &Options, input: &mut impl Read) -> Outcome {
    let password = match input::line(input) {
        Ok(password) => password,
        Err(error @ InputError::Io(_)) => return Outcome::new(75, error.to_string()),
        Err(error) => return Outcome::new(2, error.to_string()),
    };
    let login = match options.login.as_str() {
        "" => options.user_key.clone(),
        login => login.to_owned(),
    };
    let change = Change {
        key_type: options.key_type,
        user_key: options.user_key.clone(),
        login,
        captured_at_ms: None,
        operation: options.operation,
    };
    let sealed = agent.number().and_then(|number| agent.seal(&change, number, &password));
    drop(password);
    let taken = match sealed {
        Ok(envelope) => agent.hand_over(&envelope).await,
        Err(error) => Err(error),
    };
    match taken {
        Ok(Taken::Acknowledged(status)) => Outcome::done(status.0),
        Ok(Taken::Spooled { why }) => Outcome::done(format!("spooled: {why}")),
        Ok(Taken::SetAside { why }) => Outcome::new(1, format!("refused, and set aside: {why}")),
        Err(error @ AgentError::Spool(_)) => {
            Outcome::new(75, format!("neither intake nor spool took it: {error}"))
        }
        Err(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::flush;
    use crate::agent::testing::{FakeIntake, World};

    fn options(user: &str) -> Options {
        let (key_type, user_key) = parse_user_key(user).unwrap();
        Options { key_type, user_key, login: String::new(), operation: Operation::Reset }
    }

    async fn sent(agent: &Agent, user: &str, password: &[u8]) -> (u8, String) {
        let outcome = send(agent, &options(user), &mut &password[..]).await;
        (outcome.code, outcome.text)
    }

    #[test]
    fn a_user_key_says_what_it_is() {
        for (text, expected) in [
            ("guid:59F8A873-3C58", Ok((KeyType::Guid, "59f8a873-3c58"))),
            ("uuid:59f8", Ok((KeyType::Guid, "59f8"))),
            ("dn:UID=a, DC=x", Ok((KeyType::Dn, "uid=a,dc=x"))),
            ("login:a:b", Ok((KeyType::Login, "a:b"))),
            ("sid:S-1", Err("`sid:` is no kind of user key")),
            ("alice", Err("`alice` is no user key")),
            ("guid:", Err("the user key is empty")),
        ] {
            match (parse_user_key(text), expected) {
                (Ok((kind, key)), Ok(expected)) => assert_eq!((kind, key.as_str()), expected),
                (Err(error), Err(expected)) => assert!(error.starts_with(expected), "{error}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[tokio::test]
    async fn success_is_told_after_the_intake_or_the_spool_has_it() {
        let world = World::new();
        let agent = world.agent();
        let fake = FakeIntake::listen(&world.socket(), &[]);
        assert_eq!(sent(&agent, "login:a", "ひみつ\n".as_bytes()).await, (0, "queued".into()));
        assert_eq!(world.told(&fake.got()[0]), "Reset a a 1 ひみつ");
        drop(fake);
        let (code, text) = sent(&agent, "login:a", b"two").await;
        assert_eq!(code, 0);
        assert!(text.starts_with("spooled: the intake is away"), "{text}");
        assert_eq!(world.spooled(&agent), ["Reset a a 2 two"]);
    }

    #[tokio::test]
    async fn l06_1_neither_intake_nor_spool_is_told_as_a_failure() {
        let mut world = World::new();
        world.limits.records_max = 1;
        let agent = world.agent();
        assert_eq!(sent(&agent, "login:a", b"one").await.0, 0);
        let (code, text) = sent(&agent, "login:b", b"two").await;
        assert_eq!(code, 75);
        assert!(text.starts_with("neither intake nor spool took it"), "{text}");
        assert_eq!(world.spooled(&agent), ["Reset a a 1 one"]);
    }

    #[tokio::test]
    async fn what_waits_goes_first() {
        let world = World::new();
        let agent = world.agent();
        for password in [b"one", b"two"] {
            assert_eq!(sent(&agent, "login:a", password).await.0, 0);
        }
        let fake = FakeIntake::listen(&world.socket(), &[]);
        assert_eq!(sent(&agent, "login:a", b"now").await, (0, "queued".into()));
        let got: Vec<_> = fake.got().iter().map(|envelope| world.told(envelope)).collect();
        assert_eq!(got, ["Reset a a 1 one", "Reset a a 2 two", "Reset a a 3 now"]);
        assert!(agent.spool().is_empty().unwrap());
    }

    #[tokio::test]
    async fn a_flush_stops_where_the_intake_wants_it_and_keeps_the_rest() {
        let world = World::new();
        let agent = world.agent();
        for password in [b"one", b"two", b"tri", b"fou"] {
            assert_eq!(sent(&agent, "login:a", password).await.0, 0);
        }
        let queued = crate::agent::testing::QUEUED;
        let fake = FakeIntake::listen(
            &world.socket(),
            &[
                queued,
                (400, None, "malformed"),
                (429, Some(("retry-after", "9")), ""),
                (403, None, "not yours"),
            ],
        );
        let outcome = flush::run(&agent).await;
        assert_eq!(outcome.code, 75, "{outcome:?}");
        assert!(outcome.text.starts_with("1 shipped, 1 refused and set aside; "), "{outcome:?}");
        assert_eq!(agent.spool().set_aside_count().unwrap(), 1);
        let outcome = flush::run(&agent).await;
        assert_eq!(outcome.code, 77, "{outcome:?}");
        assert_eq!(world.spooled(&agent), ["Reset a a 3 tri", "Reset a a 4 fou"]);
        assert_eq!(flush::run(&agent).await, Outcome::done("2 shipped"));
        assert_eq!(fake.got().len(), 3);
    }

    #[tokio::test]
    async fn what_the_intake_never_takes_is_set_aside_and_told() {
        let world = World::new();
        let agent = world.agent();
        let _fake = FakeIntake::listen(&world.socket(), &[(400, None, ""), (400, None, "no")]);
        let told = sent(&agent, "login:a", b"one").await;
        assert_eq!(told, (1, "refused, and set aside: 400 no".into()));
        assert!(agent.spool().is_empty().unwrap());
    }

    #[tokio::test]
    async fn input_that_is_no_password_is_refused() {
        let world = World::new();
        let agent = world.agent();
        for (input, expected) in [
            (&b"\n"[..], "there is no password"),
            (b"\xff\xfe", "the password is not valid UTF-8"),
            (&[b'x'; 9000], "the password is longer than"),
        ] {
            let (code, text) = sent(&agent, "login:a", input).await;
            assert_eq!(code, 2, "{text}");
            assert!(text.contains(expected), "{text}");
        }
        assert!(agent.spool().is_empty().unwrap());
    }
}

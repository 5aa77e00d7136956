//! Companion of Samba's `check password script` (password.md 8.2). A password that the source is
//! about to take flows in; yes or no flows out, soon. Nothing is captured: the source may still
//! refuse it (O-04).

use std::io::Read;
use std::sync::mpsc;
use std::time::Duration;

use super::{Outcome, input};
use crate::precheck::Rules;

/// Samba warns after a second and kills after ten; a directory must not be felt to be slow (O-12).
pub const TIME_MAX: Duration = Duration::from_millis(300);

/// How Samba says whose password it is. Never on the command line, where a shell would read it
/// (M14).
pub const ACCOUNT: &str = "SAMBA_CPS_ACCOUNT_NAME";

/// Judges the password on `input`, read to its end; every byte of it counts.
///
/// Takes: how to come by the rules of every target (it may read files: its time counts too); how to
/// ask the environment for a variable.
/// Exit codes: 0 it may be set, or nothing could be told in time; 1 a target would refuse it.
pub fn precheck<I, R, E>(mut input: I, rules: R, environment: E) -> Outcome
where
    I: Read + Send + 'static,
    R: FnOnce() -> Result<Vec<Rules>, String> + Send + 'static,
    E: FnOnce(&str) -> Option<String>,
{
    let (to, judged) = mpsc::channel();
    // A thread, since nothing else can be left alone while it reads. The process ends before it.
    let judge = std::thread::Builder::new().spawn(move || {
        // Nobody listens any more when the time was over.
        let _ = to.send(judge(&mut input, rules));
    });
    let verdict = match judge {
        Ok(_) => judged
            .recv_timeout(TIME_MAX)
            .unwrap_or_else(|_| Err(format!("no verdict within {} ms", TIME_MAX.as_millis()))),
        Err(error) => Err(error.to_string()),
    };
    match verdict {
        Ok(None) => Outcome::done("acceptable"),
        Ok(Some(category)) => {
            let user = environment(ACCOUNT).unwrap_or_default();
            tracing::debug!(target: "kakehi::password::detail", user, ?category, "refused");
            Outcome::new(1, format!("a target of this password refuses it: {category:?}"))
        }
        // Open: the source must never wait for, or depend on, what we cannot do.
        Err(why) => {
            tracing::warn!(target: "kakehi::password", why, "a password was not checked");
            Outcome::done(format!("not checked: {why}"))
        }
    }
}

fn judge(
    input: &mut impl Read,
    rules: impl FnOnce() -> Result<Vec<Rules>, String>,
) -> Result<Option<kakehi_engine::password::Category>, String> {
    let password = input::bytes(input).and_then(input::password);
    let password = password.map_err(|error| error.to_string())?;
    Ok(rules()?.iter().find_map(|rules| rules.refuses(&password)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::Charset;

    fn rules() -> Result<Vec<Rules>, String> {
        let long = Rules { length_min: Some(8), ..Rules::default() };
        Ok(vec![long, Rules { charset: Charset::Ascii, ..Rules::default() }])
    }

    fn environment(name: &str) -> Option<String> {
        assert_eq!(name, "SAMBA_CPS_ACCOUNT_NAME");
        Some("alice; reboot".into())
    }

    #[test]
    fn o35_what_a_target_never_takes_is_refused_before_the_source_takes_it() {
        for (password, code, text) in [
            ("long enough", 0, "acceptable"),
            ("short", 1, "a target of this password refuses it: TooShort"),
            ("ひみつひみつひみつ", 1, "a target of this password refuses it: Charset"),
            // A newline counts: Samba writes the password and nothing else.
            ("1234567\n", 1, "a target of this password refuses it: Charset"),
        ] {
            let outcome = precheck(password.as_bytes(), rules, environment);
            assert_eq!(outcome, Outcome::new(code, text), "{password:?}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_let_pass() {
        let none = || Err("cannot read `config.yml`".to_owned());
        assert_eq!(
            precheck(&b"short"[..], none, environment),
            Outcome::done("not checked: cannot read `config.yml`")
        );
        let outcome = precheck(&b"\xff"[..], rules, environment);
        assert!(outcome.code == 0 && outcome.text.contains("not valid UTF-8"), "{outcome:?}");
    }

    /// An input that never ends.
    struct Silent(mpsc::Receiver<()>);

    impl Read for Silent {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Ok(self.0.recv().map_or(0, |()| 1))
        }
    }

    #[test]
    fn o12_the_source_does_not_wait_for_us() {
        let (keep_open, silent) = mpsc::channel();
        let outcome = precheck(Silent(silent), rules, environment);
        assert_eq!(outcome, Outcome::done("not checked: no verdict within 300 ms"));
        drop(keep_open);
    }
}

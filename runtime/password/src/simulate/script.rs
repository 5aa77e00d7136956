//! Lines of a script: text flows in, a policy and commands flow out, or every line that is not
//! understood.

use std::fmt;
use std::time::Duration;

use kakehi_engine::password::{Answer, Category, Policy, Scope, SlotKey};

use super::policy::PolicyLines;

/// A script that was understood.
pub(super) struct Script {
    pub policy: Policy,
    pub targets: Vec<String>,
    /// With the words of each, as they were written.
    pub commands: Vec<(String, Command)>,
}

pub(super) enum Command {
    Capture {
        source: String,
        user: String,
        sequence: u64,
        seen: Seen,
    },
    Target {
        target: String,
        change: Change,
    },
    /// The next answer of a target, once, whatever its state is.
    Answer {
        find: bool,
        answer: Reply,
    },
    /// The answer to what is under way comes at last.
    Arrives {
        slot: SlotKey,
        answer: Answer,
    },
    UserEvent {
        slot: SlotKey,
        added: bool,
    },
    Advance(Duration),
    Restart,
    Operator {
        verb: Verb,
        scope: Scope,
    },
    Rename {
        user: String,
        login: String,
    },
    Delete {
        user: String,
    },
    Join {
        from: String,
        to: String,
    },
    Credential {
        target: String,
    },
}

/// What an agent adds to a capture.
#[derive(Default)]
pub(super) struct Seen {
    pub agent: Option<String>,
    /// By which its clock is off, in seconds.
    pub clock_seconds: i64,
    /// A name for the password, so that the same one is known again.
    pub password: Option<String>,
    pub filtered: bool,
}

pub(super) enum Change {
    Up,
    Down,
    /// Its requests fail with errors of its own; of one user only, or of all.
    Errors(Option<String>),
    Refuses,
    Rejects(Category),
    Has(String),
    Lacks(String),
}

#[derive(Clone)]
pub(super) enum Reply {
    Answer(Answer),
    /// None comes.
    Nothing,
    /// The record cannot be opened.
    Unopened,
}

#[derive(Clone, Copy)]
pub(super) enum Verb {
    Retry,
    Purge,
    Pause,
    Resume,
}

/// A line that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Counted from 1.
    pub line: usize,
    pub what: String,
    pub hint: String,
}

/// Every line that was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ScriptError {
    pub findings: Vec<Finding>,
}

/// What a line may be wrong in.
pub(super) struct Wrong {
    pub what: String,
    pub hint: String,
}

pub(super) type Read<T> = Result<T, Wrong>;

/// Hints, each of which shows a line that would be understood.
mod hint {
    pub const CAPTURE: &str = "`capture SOURCE USER seq NUMBER`, and as needed `agent NAME`, \
                               `clock SECONDS`, `password LABEL`, `filtered`";
    pub const TARGET: &str = "`target NAME up|down|refuses|errors [USER]|rejects CATEGORY|has \
                              USER|lacks USER`";
    pub const ANSWER: &str = "`answer find|set` with `ok`, `rejected CATEGORY`, `not_found`, \
                              `ambiguous`, `refused`, `unavailable [SECONDS]`, `server_error`, \
                              `uncertain`, `nothing`, or `unopened`";
    pub const ARRIVES: &str = "`arrives TARGET USER` and an answer, as in `arrives cloud taro ok`";
    pub const SCOPE: &str = "`all`, `target NAME`, `user NAME`, or `slot TARGET USER`";
    pub const CATEGORY: &str =
        "`too_short`, `complexity`, `history`, `charset`, `blocklisted`, or `other`";
    pub const COMMANDS: &str = "commands are `capture`, `target`, `answer`, `arrives`, \
                                `user-event`, `user-added`, `advance`, `restart`, `pause`, \
                                `resume`, `retry`, `purge`, `rename`, `delete`, `join` and \
                                `credential`";
}

pub(super) fn read(text: &str) -> Result<Script, ScriptError> {
    let mut findings = vec![];
    let mut policy = PolicyLines::default();
    let (mut targets, mut commands): (Vec<String>, Vec<_>) = (vec![], vec![]);
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        let [first, rest @ ..] = &words[..] else { continue };
        let done = match policy.takes(first) {
            true if !commands.is_empty() => Err(Wrong {
                what: format!("`{first}` is of the policy, and something happened before"),
                hint: "write the policy above everything that happens".into(),
            }),
            true => policy.line(first, rest),
            false if *first == "targets" => declare(rest, &mut targets),
            false => command(first, rest, &targets).map(|command| {
                commands.push((line.to_owned(), command));
            }),
        };
        if let Err(Wrong { what, hint }) = done {
            findings.push(Finding { line: index + 1, what, hint });
        }
    }
    let policy = match policy.finish() {
        Ok(policy) => policy,
        Err(Wrong { what, hint }) => {
            findings.insert(0, Finding { line: 1, what, hint });
            return Err(ScriptError { findings });
        }
    };
    if !findings.is_empty() {
        return Err(ScriptError { findings });
    }
    Ok(Script { policy, targets, commands })
}

fn declare(words: &[&str], targets: &mut Vec<String>) -> Read<()> {
    if words.is_empty() {
        return wrong("no target is named", "`targets cloud branch`");
    }
    targets.extend(words.iter().map(|&word| word.to_owned()));
    Ok(())
}

fn command(first: &str, rest: &[&str], targets: &[String]) -> Read<Command> {
    match (first, rest) {
        ("capture", [source, user, "seq", number, seen @ ..]) => Ok(Command::Capture {
            source: (*source).to_owned(),
            user: (*user).to_owned(),
            sequence: parsed(number, hint::CAPTURE)?,
            seen: seen_by(seen)?,
        }),
        ("capture", _) => wrong("the capture is not complete", hint::CAPTURE),
        ("target", [name, change @ ..]) => {
            let target = known(name, targets)?;
            Ok(Command::Target { target, change: changed(change)? })
        }
        ("target", _) => wrong("no target is named", hint::TARGET),
        ("answer", [request @ ("find" | "set"), reply @ ..]) => {
            Ok(Command::Answer { find: *request == "find", answer: replied(reply)? })
        }
        ("answer", _) => wrong("it is not said which request is answered", hint::ANSWER),
        ("arrives", [target, user, reply @ ..]) => {
            let Reply::Answer(answer) = replied(reply)? else {
                return wrong("this is no answer of a target", hint::ARRIVES);
            };
            Ok(Command::Arrives { slot: slot(target, user, targets)?, answer })
        }
        ("arrives", _) => wrong("it is not said what arrives", hint::ARRIVES),
        ("user-event" | "user-added", [target, user]) => {
            let added = first == "user-added";
            Ok(Command::UserEvent { slot: slot(target, user, targets)?, added })
        }
        ("user-event" | "user-added", _) => {
            wrong("a user event is of one user at one target", "`user-event cloud taro`")
        }
        ("advance", [time]) => Ok(Command::Advance(duration(time)?)),
        ("restart", []) => Ok(Command::Restart),
        ("pause", rest) => operator(Verb::Pause, rest, targets),
        ("resume", rest) => operator(Verb::Resume, rest, targets),
        ("retry", rest) => operator(Verb::Retry, rest, targets),
        ("purge", rest) => operator(Verb::Purge, rest, targets),
        ("rename", [user, login]) => {
            Ok(Command::Rename { user: (*user).to_owned(), login: (*login).to_owned() })
        }
        ("delete", [user]) => Ok(Command::Delete { user: (*user).to_owned() }),
        ("join", [from, to]) => {
            Ok(Command::Join { from: (*from).to_owned(), to: (*to).to_owned() })
        }
        ("credential", [target]) => Ok(Command::Credential { target: known(target, targets)? }),
        ("advance" | "restart" | "rename" | "delete" | "join" | "credential", _) => wrong(
            format!("`{first}` has too few words, or too many"),
            "`advance 61m`, `restart`, `rename USER LOGIN`, `delete USER`, `join FROM TO`, \
             `credential TARGET`",
        ),
        _ => wrong(format!("`{first}` is nothing that happens"), hint::COMMANDS),
    }
}

fn seen_by(mut words: &[&str]) -> Read<Seen> {
    let mut seen = Seen::default();
    loop {
        words = match words {
            [] => return Ok(seen),
            ["filtered", rest @ ..] => {
                seen.filtered = true;
                rest
            }
            ["agent", name, rest @ ..] => {
                seen.agent = Some((*name).to_owned());
                rest
            }
            ["password", label, rest @ ..] => {
                seen.password = Some((*label).to_owned());
                rest
            }
            ["clock", seconds, rest @ ..] => {
                seen.clock_seconds = parsed(seconds, hint::CAPTURE)?;
                rest
            }
            [word, ..] => {
                return wrong(format!("`{word}` is nothing of a capture"), hint::CAPTURE);
            }
        }
    }
}

fn changed(words: &[&str]) -> Read<Change> {
    match words {
        ["up"] => Ok(Change::Up),
        ["down"] => Ok(Change::Down),
        ["errors"] => Ok(Change::Errors(None)),
        ["errors", user] => Ok(Change::Errors(Some((*user).to_owned()))),
        ["refuses"] => Ok(Change::Refuses),
        ["rejects", category_of] => Ok(Change::Rejects(category(category_of)?)),
        ["has", user] => Ok(Change::Has((*user).to_owned())),
        ["lacks", user] => Ok(Change::Lacks((*user).to_owned())),
        _ => wrong("it is not said how the target is", hint::TARGET),
    }
}

fn replied(words: &[&str]) -> Read<Reply> {
    let unavailable = |retry_after, server_error| Answer::Unavailable { retry_after, server_error };
    Ok(Reply::Answer(match words {
        ["ok"] => Answer::Ok,
        ["rejected", category_of] => Answer::Rejected(category(category_of)?),
        ["not_found"] => Answer::NotFound,
        ["ambiguous"] => Answer::Ambiguous,
        ["refused"] => Answer::Refused,
        ["unavailable"] => unavailable(None, false),
        ["unavailable", seconds] => {
            unavailable(Some(Duration::from_secs(parsed(seconds, hint::ANSWER)?)), false)
        }
        ["server_error"] => unavailable(None, true),
        ["uncertain"] => Answer::Uncertain,
        ["nothing"] => return Ok(Reply::Nothing),
        ["unopened"] => return Ok(Reply::Unopened),
        _ => return wrong("this is no answer", hint::ANSWER),
    }))
}

fn operator(verb: Verb, words: &[&str], targets: &[String]) -> Read<Command> {
    let scope = match words {
        ["all"] => Scope::All,
        ["target", target] => Scope::Target(known(target, targets)?.into()),
        ["user", user] => Scope::User((*user).into()),
        ["slot", target, user] => Scope::Slot(slot(target, user, targets)?),
        _ => return wrong("it is not said what is meant", hint::SCOPE),
    };
    Ok(Command::Operator { verb, scope })
}

fn slot(target: &str, user: &str, targets: &[String]) -> Read<SlotKey> {
    Ok(SlotKey { target: known(target, targets)?.into(), user: user.into() })
}

fn known(target: &str, targets: &[String]) -> Read<String> {
    match targets.iter().any(|known| known == target) {
        true => Ok(target.to_owned()),
        false => wrong(
            format!("there is no target `{target}`"),
            match targets.is_empty() {
                true => format!("write `targets {target}` above"),
                false => format!("there are `{}`; `targets` names more", targets.join("`, `")),
            },
        ),
    }
}

fn category(word: &str) -> Read<Category> {
    let all = [
        Category::TooShort,
        Category::Complexity,
        Category::History,
        Category::Charset,
        Category::Blocklisted,
        Category::Other,
    ];
    let found = all.into_iter().find(|category| category.as_str() == word);
    found.map_or_else(|| wrong(format!("`{word}` is no category"), hint::CATEGORY), Ok)
}

/// `90`, `90s`, `61m`, `2h`, `3d`.
pub(super) fn duration(word: &str) -> Read<Duration> {
    let digits = word.trim_end_matches(|last: char| last.is_ascii_lowercase());
    let unit = match &word[digits.len()..] {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        _ => None,
    };
    let seconds = digits.parse::<u32>().ok().zip(unit).map(|(count, unit)| u64::from(count) * unit);
    match seconds {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => wrong(format!("`{word}` is no time"), "`90s`, `61m`, `2h`, `3d`"),
    }
}

pub(super) fn parsed<T: std::str::FromStr>(word: &str, hint: &str) -> Read<T> {
    word.parse().or_else(|_| wrong(format!("`{word}` is not the number that belongs here"), hint))
}

pub(super) fn wrong<T>(what: impl Into<String>, hint: impl Into<String>) -> Read<T> {
    Err(Wrong { what: what.into(), hint: hint.into() })
}

// === impl ScriptError ===

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Finding { line, what, hint }) in self.findings.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}line {line}: {what}\n  hint: {hint}")?;
        }
        Ok(())
    }
}

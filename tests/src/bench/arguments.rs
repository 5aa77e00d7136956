//! The command line. In: words. Out: a command with every value in place, or what is wrong with it.

use std::path::PathBuf;

use super::change;
use super::generate::Shape;
use super::passwords;
use super::reader::Request;
use super::rules;

pub enum Command {
    Generate(Shape),
    EndToEnd(EndToEnd),
    /// What one change costs.
    Change(change::Wanted),
    Read(Request),
    Sink,
    /// What rules cost in each language.
    Guests,
    /// How many passwords go through.
    Passwords(passwords::Wanted),
    Rules(rules::Wanted),
}

/// What `bench e2e` is to do.
#[derive(Debug, PartialEq)]
pub struct EndToEnd {
    pub users: usize,
    pub groups: usize,
    /// Medians of at least three rounds are worth telling (performance.md 9).
    pub rounds: usize,
    /// The product's binary; `None`: the one built beside this command.
    pub kakehi: Option<PathBuf>,
}

/// Users of a benchmark that says nothing else.
const USERS: usize = 10_000;

const ROUNDS: usize = 3;

/// Twenty batches: enough for the clock, few enough for the processor's cache.
const RULE_OBJECTS: usize = 5_120;

/// The best round counts, so there are many.
const RULE_ROUNDS: usize = 40;

/// What a company of that size changes at once (N-10).
const PASSWORDS: usize = 18_000;

/// As delivered (password.md 9).
const PASSWORDS_AT_ONCE: usize = 4;

/// Any seed would do; the same one makes runs comparable.
const SEED: u64 = 42;

/// One group for so many users, unless the command line says how many.
const USERS_PER_GROUP: usize = 50;

/// Takes the words after the program's name. Errors: a sentence for the user.
pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Command, String> {
    let verb = words.next().ok_or("which command?")?;
    let mut options = Options::read(words)?;
    let command = match verb.as_str() {
        "gen" => Command::Generate(shape(&mut options)?),
        "e2e" => Command::EndToEnd(end_to_end(&mut options)?),
        "change" => Command::Change(change_wanted(&mut options)?),
        "read" => Command::Read(Request {
            url: options.required("--url")?,
            base: options.required("--base")?,
            filter: equality(&options.required("--filter")?)?,
            attributes: options
                .take("--attributes")
                .map(|list| list.split(',').map(str::to_owned).collect())
                .unwrap_or_default(),
        }),
        "sink" => Command::Sink,
        "guests" => Command::Guests,
        "passwords" => Command::Passwords(passwords::Wanted {
            count: options.number("--count", PASSWORDS)?,
            concurrency: options.number("--concurrency", PASSWORDS_AT_ONCE)?,
            kakehi: options.take("--kakehi").map(PathBuf::from),
        }),
        "rules" => Command::Rules(rules_wanted(&mut options)?),
        unknown => return Err(format!("unknown command `{unknown}`")),
    };
    options.none_left()?;
    Ok(command)
}

fn shape(options: &mut Options) -> Result<Shape, String> {
    let users = options.number("--users", USERS)?;
    Ok(Shape {
        users,
        groups: options.number("--groups", users / USERS_PER_GROUP)?,
        big_group: options.number("--big-group", 0)?,
        seed: options.number("--seed", SEED)?,
    })
}

fn end_to_end(options: &mut Options) -> Result<EndToEnd, String> {
    let users = options.number("--users", USERS)?;
    let wanted = EndToEnd {
        users,
        groups: options.number("--groups", users / USERS_PER_GROUP)?,
        rounds: options.number("--rounds", ROUNDS)?,
        kakehi: options.take("--kakehi").map(PathBuf::from),
    };
    if wanted.rounds == 0 || wanted.users == 0 {
        return Err("at least one round with one user".into());
    }
    Ok(wanted)
}

fn change_wanted(options: &mut Options) -> Result<change::Wanted, String> {
    let users = options.number("--users", USERS)?;
    let wanted = change::Wanted {
        users,
        big_group: options.number("--big-group", users / 2)?,
        kakehi: options.take("--kakehi").map(PathBuf::from),
    };
    if wanted.users < 10 || !(1..wanted.users).contains(&wanted.big_group) {
        return Err("at least ten users, of whom some are in the big group and some not".into());
    }
    Ok(wanted)
}

fn rules_wanted(options: &mut Options) -> Result<rules::Wanted, String> {
    let wanted = rules::Wanted {
        objects: options.number("--objects", RULE_OBJECTS)?,
        rounds: options.number("--rounds", RULE_ROUNDS)?,
        way: options.take("--way"),
    };
    if wanted.objects == 0 || wanted.rounds == 0 {
        return Err("at least one round with one object".into());
    }
    Ok(wanted)
}

fn equality(filter: &str) -> Result<(String, String), String> {
    let (attribute, value) =
        filter.split_once('=').ok_or_else(|| format!("`{filter}` is not ATTRIBUTE=VALUE"))?;
    Ok((attribute.to_owned(), value.to_owned()))
}

/// Options with their values that nobody has taken yet.
struct Options(Vec<(String, String)>);

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Vec::new();
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("`{name}` needs a value"))?;
            options.push((name, value));
        }
        Ok(Options(options))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    fn required(&mut self, name: &str) -> Result<String, String> {
        self.take(name).ok_or_else(|| format!("`{name}` is missing"))
    }

    fn number<T: std::str::FromStr>(&mut self, name: &str, default: T) -> Result<T, String> {
        match self.take(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("`{name} {text}` is no number")),
        }
    }

    fn none_left(&self) -> Result<(), String> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(format!("unknown option `{name}`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn groups_follow_the_users_unless_told() {
        for (line, users, groups) in
            [("e2e", 10_000, 200), ("e2e --users 500", 500, 10), ("e2e --groups 3", 10_000, 3)]
        {
            let Ok(Command::EndToEnd(wanted)) = words(line) else { panic!("{line}") };
            assert_eq!((wanted.users, wanted.groups), (users, groups), "{line}");
        }
    }

    #[test]
    fn a_wrong_line_is_refused_with_its_word() {
        for (line, word) in [
            ("", "which"),
            ("fly", "`fly`"),
            ("e2e --users", "`--users`"),
            ("e2e --users many", "many"),
            ("e2e --rounds 0", "one round"),
            ("rules --objects 0", "one object"),
            ("change --users 9", "ten users"),
            ("sink --port 1", "`--port`"),
            ("read --url x --base y --filter z", "`z`"),
        ] {
            let message = words(line).err().unwrap_or_default();
            assert!(message.contains(word), "{line}: {message}");
        }
    }
}

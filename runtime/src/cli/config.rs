//! `kakehi config`.

use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use crate::authoring::diff;
use crate::cli::{Error, Outcome, render};
use crate::manifest::files::Files;
use crate::scaffold::configuration::{Answers, PRESETS, configuration};
use crate::service::control::{self, Request};
use crate::service::failure::{Failure, Kind};
use crate::service::generations::{Generations, Index, Kept};
use crate::service::{once, world};

#[derive(clap::Subcommand)]
pub enum Config {
    /// Say everything that is wrong with the configuration, the manifest and the rules
    Check {
        /// Also connect to the sources and look whether they answer
        #[arg(long)]
        online: bool,
    },
    /// Every value in force, defaults included; never a secret
    Show,
    /// Tell the running service to take the files as they are now
    Reload,
    /// Go back to an earlier generation of the rules, until the files change again
    Rollback {
        /// Its number; without one, the generation before
        generation: Option<u64>,
    },
    /// The generations of rules that are kept
    Generations {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// What differs between two generations of rules, field by field
    Diff {
        /// A generation: its number, the beginning of a digest, `current`, or `files`
        #[arg(value_name = "A", default_value = "current")]
        old: String,
        /// Another one
        #[arg(value_name = "B", default_value = "files")]
        new: String,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a configuration to begin with; asks for what is not said, on a terminal
    Init {
        /// How passwords are retried: `balanced`, `counted` or `evented`
        #[arg(long)]
        preset: Option<String>,
        /// For how many minutes an undelivered password is kept; -1: for ever
        #[arg(long, allow_hyphen_values = true)]
        expiry: Option<String>,
        /// Attempts after a rejection, for `counted`
        #[arg(long)]
        retries: Option<u32>,
    },
    /// The JSON Schema of the configuration, or of the manifest
    Schema {
        /// Of the manifest
        #[arg(long)]
        manifest: bool,
    },
}

impl Config {
    pub fn execute(self, config: &Path) -> Outcome {
        let mut out = anstream::stdout().lock();
        let written = match self {
            Self::Check { online } => return check(config, online, &mut out),
            Self::Reload => return reload(config),
            Self::Init { preset, expiry, retries } => {
                return init(config, preset, expiry, retries);
            }
            Self::Rollback { generation } => return rollback(config, generation),
            Self::Generations { json } => return generations(config, json, &mut out),
            Self::Diff { old, new, json } => return diff(config, [&old, &new], json, &mut out),
            Self::Show => {
                let (config, _) = crate::config::load(config).map_err(Failure::of_findings)?;
                writeln!(out, "{:#}", config.show())
            }
            Self::Schema { manifest: true } => writeln!(out, "{:#}", crate::manifest::schema()),
            Self::Schema { manifest: false } => writeln!(out, "{:#}", crate::config::schema()),
        };
        written.map_err(Error::Output)?;
        Ok(0)
    }
}

/// Asks what was not said (N-07, O-20); without a terminal the defaults hold.
fn init(
    config: &Path,
    preset: Option<String>,
    expiry: Option<String>,
    retries: Option<u32>,
) -> Outcome {
    let preset = answer("how are passwords retried?", preset, "balanced").map_err(Error::Output)?;
    if !PRESETS.contains(&preset.as_str()) {
        let failure = Failure::new(Kind::Usage, "K0296", format!("there is no preset `{preset}`"));
        return Err(failure.hint("there are `balanced`, `counted` and `evented`").into());
    }
    let question = "for how many minutes is an undelivered password kept?";
    let expiry = answer(question, expiry, "60").map_err(Error::Output)?;
    let retries = match (preset.as_str(), retries) {
        ("counted", None) => {
            let text = answer("how many attempts after a rejection?", None, "3");
            let text = text.map_err(Error::Output)?;
            Some(text.parse().map_err(|_| {
                Failure::new(Kind::Usage, "K0296", format!("`{text}` is no number of attempts"))
            })?)
        }
        ("counted", Some(retries)) => Some(retries),
        _ => None,
    };
    let text = configuration(&Answers { preset, expiry, retries });
    let written = std::fs::File::options().write(true).create_new(true).open(config);
    written.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        let message = format!("cannot write `{}`: {error}", config.display());
        Failure::new(Kind::Usage, "K0296", message)
            .hint("name another file with `--config`; one that is there is never overwritten")
    })?;
    let mut out = anstream::stdout();
    writeln!(out, "wrote {}", config.display()).map_err(Error::Output)?;
    Ok(0)
}

/// What was said, else what is answered on a terminal, else the default.
fn answer(question: &str, said: Option<String>, default: &str) -> std::io::Result<String> {
    if let Some(said) = said {
        return Ok(said);
    }
    if !std::io::stdin().is_terminal() {
        return Ok(default.to_owned());
    }
    anstream::eprint!("{question} [{default}] ");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(match line.trim() {
        "" => default.to_owned(),
        said => said.to_owned(),
    })
}

fn reload(config: &Path) -> Outcome {
    let (loaded, _) = crate::config::load(config).map_err(Failure::of_findings)?;
    match control::ask(&loaded.control, &Request::Reload)? {
        Some(answer) => render::answer(&answer),
        None => {
            let message = format!("no service answers at `{}`", loaded.control.display());
            Err(Failure::new(Kind::Temporary, "K0221", message)
                .hint("without a service every command reads the files anew; `kakehi run` is one")
                .into())
        }
    }
}

fn rollback(config: &Path, generation: Option<u64>) -> Outcome {
    let (loaded, _) = crate::config::load(config).map_err(Failure::of_findings)?;
    match control::ask(&loaded.control, &Request::Rollback { generation })? {
        Some(answer) => render::answer(&answer),
        None => render::answer(&once::rollback(config, generation)?),
    }
}

fn generations(config: &Path, json: bool, out: &mut impl Write) -> Outcome {
    let (loaded, _) = crate::config::load(config).map_err(Failure::of_findings)?;
    let index = Generations::of(&loaded.state.path).index()?;
    let written = match json {
        true => writeln!(out, "{:#}", serde_json::json!(index)),
        false => list(&index, out),
    };
    written.map_err(Error::Output)?;
    Ok(0)
}

fn list(index: &Index, out: &mut impl Write) -> std::io::Result<()> {
    if index.kept.is_empty() {
        writeln!(out, "no rules were in force yet")?;
    }
    for kept in &index.kept {
        let mark = if index.active == Some(kept.number) { "*" } else { " " };
        let ruleset: String = kept.ruleset.chars().take(12).collect();
        let Kept { number, since, by, .. } = kept;
        writeln!(out, "{mark} {number:>5}  since {since}  by {by:<8}  rules {ruleset}")?;
    }
    if let Some(stand_in) = &index.stand_in {
        writeln!(
            out,
            "generation {} stands in for the files on disk: {}",
            stand_in.number, stand_in.why
        )?;
    }
    Ok(())
}

/// One side of a comparison: what it is called, and its manifest.
struct Side {
    told: Json,
    manifest: PathBuf,
}

fn side(name: &str, index: &Index, generations: &Generations, files: &Path) -> Result<Side, Error> {
    if name == "files" {
        let told = json!({"name": "files", "text": "the files on the disk"});
        return Ok(Side { told, manifest: files.to_owned() });
    }
    let kept = match (name, index.active) {
        ("current", Some(active)) => index.choose(Some(active))?,
        ("current", None) => {
            let message = "no rules were in force yet";
            let hint = "a first `kakehi once` or `kakehi run` makes a generation";
            return Err(Failure::new(Kind::Usage, "K0986", message).hint(hint).into());
        }
        _ => index.named(name)?,
    };
    let owner = kept.owner.as_ref().map(|owner| format!(", written by {owner}"));
    let text = format!(
        "generation {}, in force since {} by {}{}",
        kept.number,
        kept.since,
        kept.by,
        owner.unwrap_or_default()
    );
    let mut told = json!(kept);
    (told["name"], told["text"]) = (json!(kept.number.to_string()), json!(text));
    Ok(Side { told, manifest: generations.manifest(kept) })
}

fn diff(config: &Path, names: [&str; 2], as_json: bool, out: &mut impl Write) -> Outcome {
    let (loaded, _) = crate::config::load(config).map_err(Failure::of_findings)?;
    let generations = Generations::of(&loaded.state.path);
    let index = generations.index()?;
    let [old, new] = names.map(|name| side(name, &index, &generations, &loaded.manifest));
    let (old, new) = (old?, new?);
    let outline =
        |side: &Side| diff::outline(&mut Files::of(&side.manifest)).map_err(Failure::of_findings);
    let changes = diff::diff(&outline(&old)?, &outline(&new)?);
    match as_json {
        true => {
            let body = json!({"old": old.told, "new": new.told, "changes": changes});
            writeln!(out, "{body:#}")
        }
        false => {
            let text = |side: &Side| side.told["text"].as_str().unwrap_or_default().to_owned();
            writeln!(out, "from {}\n  to {}", text(&old), text(&new))
                .and_then(|()| diff::print(&changes, out))
        }
    }
    .map_err(Error::Output)?;
    Ok(0)
}

fn check(config: &Path, online: bool, out: &mut impl Write) -> Outcome {
    let world = world::load_files(config)?;
    let mut print = || -> std::io::Result<()> {
        for warning in &world.warnings {
            writeln!(out, "{warning}")?;
        }
        let rules = &world.generation.rules;
        let connectors = rules.connectors.len();
        writeln!(out, "ok: {connectors} connectors, {} rules", rules.rules.len())
    };
    print().map_err(Error::Output)?;
    if online {
        for line in world.probe()? {
            writeln!(out, "{line}").map_err(Error::Output)?;
        }
    }
    Ok(0)
}

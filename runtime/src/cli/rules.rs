//! `kakehi rules`.

mod new;

use std::io::Write;
use std::path::Path;

use kakehi_engine::rule::{Direction, LinkType, Rule};
use serde_json::{Value as Json, json};

use crate::cli::{Error, Outcome};
use crate::service::world;

#[derive(clap::Subcommand)]
pub enum Rules {
    /// The rules in order of precedence, as they apply to each connector
    List {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// Load every rule with its module and say everything that is wrong
    Check {
        /// Print the findings as JSON
        #[arg(long)]
        json: bool,
    },
    /// Begin a rule of your own: source, SDK, test cases, manifest fragment
    New(new::New),
}

impl Rules {
    pub fn execute(self, config: &Path) -> Outcome {
        // It needs no installation.
        if let Self::New(verb) = self {
            return verb.execute();
        }
        let world = world::load(config)?;
        let mut out = anstream::stdout().lock();
        let rules = &world.generation.rules.rules;
        let written = match self {
            Self::List { json: true } => {
                writeln!(out, "{:#}", rules.iter().map(to_json).collect::<Json>())
            }
            Self::List { json: false } => rules.iter().try_for_each(|rule| line(rule, &mut out)),
            Self::Check { json: true } => {
                let warnings: Vec<String> =
                    world.warnings.iter().map(ToString::to_string).collect();
                writeln!(out, "{:#}", json!({"rules": rules.len(), "warnings": warnings}))
            }
            Self::Check { json: false } => check(&world, &mut out),
            Self::New(_) => Ok(()),
        };
        written.map_err(Error::Output)?;
        Ok(0)
    }
}

fn check(world: &world::World, out: &mut impl Write) -> std::io::Result<()> {
    for warning in &world.warnings {
        writeln!(out, "{warning}")?;
    }
    let rules = &world.generation.rules;
    writeln!(out, "{} rules, generation {}", rules.rules.len(), rules.digest)
}

fn direction(rule: &Rule) -> &'static str {
    match rule.direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
    }
}

fn link(rule: &Rule) -> &'static str {
    match rule.link {
        LinkType::Join => "join",
        LinkType::StickyJoin => "sticky-join",
        LinkType::Provision => "provision",
    }
}

/// What is needed to know a rule (R2).
fn line(rule: &Rule, out: &mut impl Write) -> std::io::Result<()> {
    let (from, to) = match rule.direction {
        Direction::Inbound => (&rule.cs_class, &rule.mv_class),
        Direction::Outbound => (&rule.mv_class, &rule.cs_class),
    };
    let digest: String = rule.module.sha256.chars().take(12).collect();
    writeln!(
        out,
        "{:<8} {:>4}  {:<9}  {} -> {}  {}  {}  {} {digest}",
        direction(rule),
        rule.precedence,
        link(rule),
        from,
        to,
        rule.connector,
        rule.name,
        rule.module.source,
    )
}

fn to_json(rule: &Rule) -> Json {
    let names = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<_>>();
    json!({
        "name": rule.name,
        "tag": rule.tag.to_string(),
        "direction": direction(rule),
        "precedence": rule.precedence,
        "connector": rule.connector.as_str(),
        "connector_type": rule.cs_class.as_str(),
        "metaverse_type": rule.mv_class.as_str(),
        "link": link(rule),
        "module": rule.module.source,
        "module_sha256": rule.module.sha256,
        "config_sha256": rule.module.config_sha256,
        "reads": names(&mut rule.contract.reads.iter().map(ToString::to_string)),
        "writes": names(&mut rule.contract.writes.keys().map(ToString::to_string)),
        "volatile": rule.contract.volatile,
    })
}

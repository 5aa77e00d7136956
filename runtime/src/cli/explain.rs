//! `kakehi explain`.

use std::io::Write;
use std::path::Path;

use kakehi_engine::object::ConnectorName;
use serde_json::Value as Json;

use crate::cli::{Error, Outcome, render};
use crate::config::nearest::nearest;
use crate::service::clock::SystemClock;
use crate::service::explain::InForce;
use crate::service::failure::{Failure, Kind};
use crate::service::{Clock as _, explain, world};

/// Hits that are listed where more than one object is meant.
const HITS_SHOWN_MAX: usize = 20;

/// Names that are offered where nothing was found.
const NEAR_SHOWN_MAX: usize = 5;

/// Objects that are listed with `--disconnectors`, unless all are wanted.
const DISCONNECTORS_SHOWN_MAX: usize = 100;

#[derive(clap::Args)]
pub struct Explain {
    /// A DN, an id, a login name, a mail address, or any value that objects are joined by; with
    /// `--disconnectors` a source
    #[arg(required_unless_present = "disconnectors")]
    object: Option<String>,
    /// Only this attribute, with every rule that might write it
    attribute: Option<String>,
    /// Source objects that nobody is linked to, and why
    #[arg(long)]
    disconnectors: bool,
    /// Not only the first of them
    #[arg(long, requires = "disconnectors")]
    all: bool,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub fn execute(self, config: &Path) -> Outcome {
        let world = world::load_to_look(config)?;
        let mut out = anstream::stdout().lock();
        if self.disconnectors {
            let told = self.disconnectors(&world)?;
            match self.json {
                true => writeln!(out, "{told:#}"),
                false => render::disconnectors(&told, &mut out),
            }
            .map_err(Error::Output)?;
            return Ok(0);
        }
        let object = self.object.as_deref().unwrap_or_default();
        let store = world.read_only()?;
        let found = store.explain(object)?;
        if found.is_empty() {
            return Err(nothing(object, &store.nearest(object, NEAR_SHOWN_MAX)?).into());
        }
        if found.len() > 1 {
            return Err(several(object, &found.iter().map(explain::hit).collect::<Vec<_>>()).into());
        }
        let rules = &world.generation.rules;
        let now = SystemClock.now();
        let modules = world.generation.modules.at(now);
        let in_force = InForce { rules, modules: &modules, now };
        let mut story = explain::stories(&*store, &found, in_force)?.pop().unwrap_or_default();
        if let Some(name) = &self.attribute {
            keep(&mut story, name)?;
        }
        match self.json {
            true => writeln!(out, "{story:#}"),
            false => render::story(&story, self.attribute.is_some(), &mut out),
        }
        .map_err(Error::Output)?;
        Ok(0)
    }

    fn disconnectors(&self, world: &world::World) -> Result<Json, Failure> {
        let rules = &world.generation.rules;
        let connector = self.object.as_deref().map(ConnectorName::from);
        if let Some(name) = connector.as_ref().filter(|name| rules.connector(name).is_none()) {
            let known: Vec<&str> =
                rules.connectors.iter().map(|connector| connector.name.as_str()).collect();
            let message = format!("there is no connector `{name}`");
            let hint = match nearest(name.as_str(), known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", known.join(", ")),
            };
            return Err(Failure::new(Kind::Usage, "K0981", message).hint(hint));
        }
        let now = SystemClock.now();
        let modules = world.generation.modules.at(now);
        let in_force = InForce { rules, modules: &modules, now };
        let shown = if self.all { usize::MAX } else { DISCONNECTORS_SHOWN_MAX };
        let store = world.read_only()?;
        Ok(explain::disconnectors::all(&*store, connector.as_ref(), in_force, shown)?)
    }
}

/// Nobody is called so. `near`: who is perhaps meant.
pub fn nothing(object: &str, near: &[String]) -> Failure {
    let message = format!("nothing is known of `{object}`");
    let hint = match near.is_empty() {
        true => "name it by DN, anchor, id at the target, login name or mail address".to_owned(),
        false => format!("did you mean `{}`?", near.join("`, `")),
    };
    Failure::new(Kind::Usage, "K0901", message).hint(hint)
}

/// Several objects are called so; `hits` tells them apart.
pub fn several(object: &str, hits: &[String]) -> Failure {
    let mut message = format!("`{object}` names {} objects:", hits.len());
    for hit in hits.iter().take(HITS_SHOWN_MAX) {
        message.push_str("\n    ");
        message.push_str(hit);
    }
    if let Some(more) = hits.len().checked_sub(HITS_SHOWN_MAX).filter(|more| *more > 0) {
        message.push_str(&format!("\n    and {more} more"));
    }
    message.push_str("\n ");
    Failure::new(Kind::Usage, "K0980", message)
        .hint("name one of them by its DN, its anchor or its number")
}

/// Leaves one attribute of the metaverse, and of each target those that are called so.
///
/// Errors: neither the object nor a rule knows it.
fn keep(story: &mut Json, name: &str) -> Result<(), Failure> {
    let names = |attributes: Option<&Json>| -> Vec<String> {
        let attributes = attributes.and_then(Json::as_object);
        attributes.map(|map| map.keys().cloned().collect()).unwrap_or_default()
    };
    let mut known = names(story.get("attributes"));
    for target in story["targets"].as_array().into_iter().flatten() {
        known.extend(names(target.get("attributes")));
    }
    if !known.iter().any(|known| known == name) {
        let message = format!("neither the object nor any rule for it has the attribute `{name}`");
        let hint = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "without an attribute everything is told".to_owned(),
        };
        return Err(Failure::new(Kind::Usage, "K0982", message).hint(hint));
    }
    let only = |attributes: Option<&mut Json>| {
        if let Some(Json::Object(attributes)) = attributes {
            attributes.retain(|key, _| key == name);
        }
    };
    only(story.get_mut("attributes"));
    if let Some(Json::Array(targets)) = story.get_mut("targets") {
        targets.iter_mut().for_each(|target| only(target.get_mut("attributes")));
    }
    Ok(())
}

//! `kakehi explain`.

use std::io::Write;
use std::path::Path;

use serde_json::Value as Json;

use crate::cli::{Error, Outcome, render};
use crate::service::failure::{Failure, Kind};
use crate::service::{explain, world};

#[derive(clap::Args)]
pub struct Explain {
    /// A DN, an id, a login name, a mail address
    object: String,
    /// Only this attribute
    attribute: Option<String>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub fn execute(self, config: &Path) -> Outcome {
        let world = world::load_to_look(config)?;
        let found = world.read_only()?.explain(&self.object)?;
        if found.is_empty() {
            let message = format!("nothing is known of `{}`", self.object);
            let hint = "name it by DN, anchor, id at the target, login name or mail address";
            return Err(Failure::new(Kind::Usage, "K0901", message).hint(hint).into());
        }
        let mut stories: Vec<Json> =
            found.iter().map(|found| explain::to_json(found, &world.generation.rules)).collect();
        if let Some(name) = &self.attribute {
            stories.iter_mut().for_each(|story| keep(story, name));
        }
        let mut out = anstream::stdout().lock();
        if self.json {
            let document =
                if stories.len() == 1 { stories.remove(0) } else { Json::Array(stories) };
            writeln!(out, "{document:#}").map_err(Error::Output)?;
            return Ok(0);
        }
        for story in &stories {
            render::story(story, &mut out).map_err(Error::Output)?;
        }
        Ok(0)
    }
}

/// Leaves one attribute of the metaverse, and of each target.
fn keep(story: &mut Json, name: &str) {
    let only = |attributes: Option<&mut Json>| {
        if let Some(Json::Object(attributes)) = attributes {
            attributes.retain(|key, _| key == name);
        }
    };
    only(story.get_mut("attributes"));
    if let Some(Json::Array(targets)) = story.get_mut("targets") {
        targets.iter_mut().for_each(|target| only(target.get_mut("attributes")));
    }
}

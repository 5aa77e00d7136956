//! `kakehi rules schema`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::{Error, Outcome};
use crate::service::schema;

#[derive(clap::Args)]
pub struct Schema {
    /// A source of the configuration
    source: String,
    /// Write it to a file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Schema {
    pub fn execute(self, config: &Path) -> Outcome {
        let found = schema::read(config, &self.source)?;
        let text = format!("{:#}\n", json!(found));
        match &self.output {
            Some(path) => std::fs::write(path, text),
            None => anstream::stdout().write_all(text.as_bytes()),
        }
        .map_err(Error::Output)?;
        Ok(0)
    }
}

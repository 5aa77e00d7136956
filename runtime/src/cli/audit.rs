//! `kakehi audit`: what was sent and decided, when, by which rule and by whom (provisioning.md
//! 11.14).

mod entry;

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;

use kakehi_engine::plan::PlanId;
use kakehi_engine::time::Timestamp;
use serde_json::Value as Json;

use self::entry::Names;
use crate::cli::{Error, Outcome};
use crate::config::Config;
use crate::config::quantity::Span;
use crate::manifest::cases::instant;
use crate::service::failure::{Failure, Kind};
use crate::service::{Clock as _, Decision, Store, clock, world};

#[derive(clap::Args)]
pub struct Audit {
    /// Only what was sent for this object: its anchor, name or id at the target, its DN or address
    #[arg(long, value_name = "KEY")]
    object: Option<String>,
    /// Only since this instant (`2026-04-01T00:00:00Z`), or for so long (`24h`)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Audit {
    pub fn execute(self, config: &Path) -> Outcome {
        let (config, _) = crate::config::load(config).map_err(Failure::of_findings)?;
        let since = since(self.since.as_deref())?;
        let store = world::state_read_only(&config)?;
        let mut out = BufWriter::new(anstream::stdout());
        let mut printer = Printer { out: &mut out, json: self.json, first: true };
        let key = self.object.as_deref();
        print(&*store, &config, key, since, &mut printer)?;
        printer.end().map_err(Error::Output)?;
        out.flush().map_err(Error::Output)?;
        Ok(0)
    }
}

/// An instant, or a span before now; without either, everything.
fn since(text: Option<&str>) -> Result<Timestamp, Failure> {
    let Some(text) = text else { return Ok(Timestamp(i64::MIN)) };
    if let Some(instant) = instant::parse(text) {
        return Ok(instant);
    }
    let span: Span = text.parse().map_err(|_| {
        Failure::new(Kind::Usage, "K0233", format!("`{text}` is neither an instant nor a duration"))
            .hint("write `--since 2026-04-01T00:00:00Z` or `--since 24h`")
    })?;
    let span_ms = i64::try_from(span.0.as_millis()).unwrap_or(i64::MAX);
    Ok(Timestamp(clock::SystemClock.now().0.saturating_sub(span_ms)))
}

/// Both logs as one, oldest first.
fn print(
    store: &dyn Store,
    config: &Config,
    object: Option<&str>,
    since: Timestamp,
    printer: &mut Printer<'_>,
) -> Result<(), Error> {
    let decisions = store.decisions(Timestamp(i64::MIN))?;
    let released: BTreeMap<PlanId, String> = decisions
        .iter()
        .filter_map(|decision| Some((decision.plan.clone()?, decision.actor.clone())))
        .collect();
    let meant = match object {
        Some(key) => Some(entry::Meant::of(store, key)?),
        None => None,
    };
    let mut decisions: Vec<Decision> =
        decisions.into_iter().filter(|decision| decision.at >= since).collect();
    if meant.is_some() {
        decisions.clear();
    }
    let mut decisions = decisions.into_iter().peekable();
    let names = Names::new(store, config, released);
    let mut written: Result<(), Error> = Ok(());
    store.each_sent(since, &mut |sent| {
        if written.is_err() || meant.as_ref().is_some_and(|meant| !meant.is(&sent)) {
            return;
        }
        written = (|| {
            while let Some(decision) = decisions.next_if(|decision| decision.at <= sent.at) {
                printer.entry(&entry::decision(&decision)).map_err(Error::Output)?;
            }
            printer.entry(&names.sent(&sent)?).map_err(Error::Output)
        })();
    })?;
    written?;
    for decision in decisions {
        printer.entry(&entry::decision(&decision)).map_err(Error::Output)?;
    }
    Ok(())
}

/// Prints entries one by one: an audit may be larger than memory.
struct Printer<'a> {
    out: &'a mut dyn Write,
    json: bool,
    first: bool,
}

// === impl Printer ===

impl Printer<'_> {
    fn entry(&mut self, entry: &Json) -> std::io::Result<()> {
        if !self.json {
            return entry::text(entry, self.out);
        }
        let before = if std::mem::take(&mut self.first) { "[\n" } else { ",\n" };
        write!(self.out, "{before}{entry}")
    }

    fn end(&mut self) -> std::io::Result<()> {
        match (self.json, self.first) {
            (true, true) => writeln!(self.out, "[]"),
            (true, false) => writeln!(self.out, "\n]"),
            (false, _) => Ok(()),
        }
    }
}

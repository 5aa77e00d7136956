//! A sink that remembers, and a short way of writing down what it was given.

use async_trait::async_trait;
use kakehi_engine::object::{Anchor, AttributeName, Value};

use crate::edge::{Batch, BatchSink, Change, Partial, SinkClosed};

#[derive(Default)]
pub struct Recorder(pub Vec<Batch>);

#[async_trait]
impl BatchSink for Recorder {
    async fn commit(&mut self, batch: Batch) -> Result<(), SinkClosed> {
        self.0.push(batch);
        Ok(())
    }
}

impl Recorder {
    /// A line for each batch.
    pub fn lines(&self) -> Vec<String> {
        self.0.iter().map(show).collect()
    }
}

fn show(batch: &Batch) -> String {
    let changes: Vec<String> = batch
        .changes
        .iter()
        .map(|change| match change {
            Change::FullBegin { generation, reason } => format!("begin {generation} {reason}"),
            Change::FullEnd { generation } => format!("end {generation}"),
            Change::Upsert(entry) => format!("upsert {}", entry.dn),
            Change::Present { anchors } => {
                let anchors: Vec<_> = anchors.iter().map(short).collect();
                format!("present {}", anchors.join(" "))
            }
            Change::Delete { anchor } => format!("delete {}", short(anchor)),
            Change::Partial(partial) => show_partial(partial),
            Change::Fault { anchor, attribute, message } => {
                format!("fault {} {attribute}: {message}", short(anchor))
            }
        })
        .collect();
    let next = batch.next.as_ref().map_or_else(String::new, |next| {
        let cookie = next.cookie.as_ref().map(|cookie| String::from_utf8_lossy(cookie));
        let cookie = cookie.unwrap_or("-".into());
        format!(
            " => {cookie} g{} n{}{}",
            next.generation,
            next.objects,
            if next.behind { " behind" } else { "" }
        )
    });
    format!("[{}]{next}", changes.join(", "))
}

fn show_partial(partial: &Partial) -> String {
    let mut words = vec![format!("partial {}", short(&partial.anchor))];
    words.extend(partial.dn.iter().map(|dn| format!("dn {dn}")));
    let parts = [("=", &partial.set), ("+", &partial.add), ("-", &partial.remove)];
    for (sign, attributes) in parts {
        words.extend(attributes.iter().map(|(name, values)| show_values(name, sign, values)));
    }
    words.join(" ")
}

fn show_values(name: &AttributeName, sign: &str, values: &[Value]) -> String {
    let texts: Vec<_> = values.iter().map(|v| v.as_text().unwrap_or_default()).collect();
    format!("{name}{sign}{texts:?}")
}

/// The last byte of a UUID, else the anchor's text.
fn short(anchor: &Anchor) -> String {
    if anchor.0.len() == 16 { anchor.0[15].to_string() } else { anchor.to_string() }
}

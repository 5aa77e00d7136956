//! The bare reader: the least a program can do to have read a directory. In: where to look. Out:
//! how many entries and bytes came, counted by their framing only. The floor for a full re-read
//! (PF-03).

use std::time::Instant;

use super::slapd::{ADMIN, PASSWORD};
use super::wire::{Connection, SEARCH_DONE, SEARCH_ENTRY, Scope, Search, next_page};
use super::{BenchError, Result};

/// Entries per page: as the product asks (ldap.md 13).
const PAGE_ENTRIES: u32 = 1_000;

/// What to read: everything below a base that has a value.
pub struct Request {
    pub url: String,
    pub base: String,
    pub filter: (String, String),
    pub attributes: Vec<String>,
}

/// Reads to the end and prints the counts as JSON on one line.
pub fn run(request: &Request) -> Result<()> {
    let began = Instant::now();
    let (entries, bytes) = count(request).map_err(|error| BenchError::io("read", error))?;
    let wall_ms = began.elapsed().as_millis() as u64;
    println!("{}", serde_json::json!({"entries": entries, "bytes": bytes, "wall_ms": wall_ms}));
    Ok(())
}

fn count(request: &Request) -> std::io::Result<(u64, u64)> {
    let address = request.url.trim_start_matches("ldap://").trim_end_matches('/');
    let mut connection = Connection::open(address)?;
    connection.bind(ADMIN, PASSWORD)?;
    let attributes: Vec<&str> = request.attributes.iter().map(String::as_str).collect();
    let (mut entries, mut bytes, mut cookie) = (0, 0, Vec::new());
    let mut message = Vec::new();
    loop {
        connection.search(&Search {
            base: &request.base,
            scope: Scope::Subtree,
            equal: Some((&request.filter.0, &request.filter.1)),
            attributes: &attributes,
            page: Some((PAGE_ENTRIES, &cookie)),
        })?;
        cookie = loop {
            let answer = connection.receive(&mut message)?;
            match answer.tag {
                SEARCH_ENTRY => entries += 1,
                SEARCH_DONE => break next_page(answer.rest),
                _ => {}
            }
            bytes += answer.rest.len() as u64;
        };
        if cookie.is_empty() {
            return Ok((entries, bytes));
        }
    }
}

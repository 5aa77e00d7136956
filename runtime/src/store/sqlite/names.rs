//! Names of connectors, classes and rules as small numbers: a handful of each, remembered after
//! their first use.

use std::cell::RefCell;
use std::collections::BTreeMap;

use kakehi_engine::object::{ClassName, ConnectorName};
use kakehi_engine::rule::RuleTag;
use rusqlite::{Connection, OptionalExtension};

use super::failure::{Failure, Result};

#[derive(Default)]
pub(super) struct Names {
    connectors: RefCell<Known<ConnectorName>>,
    classes: RefCell<Known<ClassName>>,
    rules: RefCell<Known<RuleTag>>,
}

struct Known<N> {
    ids: BTreeMap<N, i64>,
    names: BTreeMap<i64, N>,
}

/// The statements of one table of names.
struct Table {
    find: &'static str,
    make: &'static str,
    name: &'static str,
}

const CONNECTORS: Table = Table {
    find: "SELECT id FROM connector WHERE name = ?1",
    make: "INSERT INTO connector (name) VALUES (?1)",
    name: "SELECT name FROM connector WHERE id = ?1",
};

const CLASSES: Table = Table {
    find: "SELECT id FROM class WHERE name = ?1",
    make: "INSERT INTO class (name) VALUES (?1)",
    name: "SELECT name FROM class WHERE id = ?1",
};

const RULES: Table = Table {
    find: "SELECT id FROM rule WHERE tag = ?1",
    make: "INSERT INTO rule (tag) VALUES (?1)",
    name: "SELECT tag FROM rule WHERE id = ?1",
};

// === impl Names ===

impl Names {
    pub(super) fn connector_id(
        &self,
        sql: &Connection,
        name: &ConnectorName,
    ) -> Result<Option<i64>> {
        find(&self.connectors, &CONNECTORS, sql, name, name.as_str())
    }

    /// The number of a name, a new one if it has none yet.
    pub(super) fn make_connector(&self, sql: &Connection, name: &ConnectorName) -> Result<i64> {
        make(&self.connectors, &CONNECTORS, sql, name, name.as_str())
    }

    pub(super) fn connector(&self, sql: &Connection, id: i64) -> Result<ConnectorName> {
        name(&self.connectors, &CONNECTORS, sql, id)
    }

    pub(super) fn make_class(&self, sql: &Connection, name: &ClassName) -> Result<i64> {
        make(&self.classes, &CLASSES, sql, name, name.as_str())
    }

    pub(super) fn class(&self, sql: &Connection, id: i64) -> Result<ClassName> {
        name(&self.classes, &CLASSES, sql, id)
    }

    pub(super) fn make_rule(&self, sql: &Connection, tag: &RuleTag) -> Result<i64> {
        make(&self.rules, &RULES, sql, tag, &tag.0)
    }

    pub(super) fn rule(&self, sql: &Connection, id: i64) -> Result<RuleTag> {
        name(&self.rules, &RULES, sql, id)
    }

    pub(super) fn forget(&self) {
        self.connectors.take();
        self.classes.take();
        self.rules.take();
    }
}

impl<N> Default for Known<N> {
    fn default() -> Self {
        Self { ids: BTreeMap::new(), names: BTreeMap::new() }
    }
}

fn find<N: Ord + Clone>(
    known: &RefCell<Known<N>>,
    table: &Table,
    sql: &Connection,
    name: &N,
    text: &str,
) -> Result<Option<i64>> {
    if let Some(id) = known.borrow().ids.get(name) {
        return Ok(Some(*id));
    }
    let found = sql.prepare_cached(table.find)?.query_row([text], |row| row.get(0)).optional()?;
    if let Some(id) = found {
        remember(known, id, name);
    }
    Ok(found)
}

fn make<N: Ord + Clone>(
    known: &RefCell<Known<N>>,
    table: &Table,
    sql: &Connection,
    name: &N,
    text: &str,
) -> Result<i64> {
    if let Some(id) = find(known, table, sql, name, text)? {
        return Ok(id);
    }
    let id = sql.prepare_cached(table.make)?.insert([text])?;
    remember(known, id, name);
    Ok(id)
}

fn name<N: Ord + Clone + From<String>>(
    known: &RefCell<Known<N>>,
    table: &Table,
    sql: &Connection,
    id: i64,
) -> Result<N> {
    if let Some(name) = known.borrow().names.get(&id) {
        return Ok(name.clone());
    }
    let text: Option<String> =
        sql.prepare_cached(table.name)?.query_row([id], |row| row.get(0)).optional()?;
    let name = N::from(text.ok_or_else(|| Failure::damaged("name", id))?);
    remember(known, id, &name);
    Ok(name)
}

fn remember<N: Ord + Clone>(known: &RefCell<Known<N>>, id: i64, name: &N) {
    let mut known = known.borrow_mut();
    known.ids.insert(name.clone(), id);
    known.names.insert(id, name.clone());
}

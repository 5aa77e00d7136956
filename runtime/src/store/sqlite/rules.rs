//! The rules that objects were last evaluated with: what other rules touch is queued in the
//! transaction that notes them.

use kakehi_engine::object::{ClassName, ConnectorName};
use kakehi_engine::rule::{Direction, RuleMark, RuleTag, RulesRecord, RulesetDigest, Touched};
use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};

use super::Db;
use super::failure::Result;

/// See [`Store::rules_record`](crate::store::Store::rules_record).
pub(super) fn record(db: &Db) -> Result<Option<RulesRecord>> {
    let mut statement = db.sql.prepare_cached("SELECT value FROM meta WHERE key = 'rules'")?;
    let text: Option<String> = statement.query_row([], |row| row.get(0)).optional()?;
    let Some(text) = text else { return Ok(None) };
    // The record of a program that kept another one cannot be compared: everything is looked at
    // again.
    Ok(serde_json::from_str::<Stored>(&text).ok().map(RulesRecord::from))
}

pub(super) fn adopt(db: &Db, record: &RulesRecord, touched: &Touched) -> Result<()> {
    let text = serde_json::to_string(&Stored::from(record))
        .expect("a record of texts and numbers can be written as JSON");
    db.sql
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES ('rules', ?1)")?
        .execute([text])?;
    match touched {
        Touched::Everything => queue_all(db),
        Touched::Only { sources, metaverse } => {
            sources
                .iter()
                .try_for_each(|(connector, class)| queue_sources(db, connector, class))?;
            metaverse.iter().try_for_each(|class| queue_metaverse(db, class))
        }
    }
}

fn queue_all(db: &Db) -> Result<()> {
    db.sql.execute_batch(
        "INSERT OR IGNORE INTO object_queue (connector, object) \
           SELECT connector, id FROM object WHERE partition IS NOT NULL; \
         INSERT OR IGNORE INTO mv_queue (mv) SELECT id FROM mv;",
    )?;
    Ok(())
}

fn queue_sources(db: &Db, connector: &ConnectorName, class: &ClassName) -> Result<()> {
    db.sql
        .prepare_cached(
            "INSERT OR IGNORE INTO object_queue (connector, object) \
             SELECT object.connector, object.id FROM object \
             WHERE object.connector = (SELECT id FROM connector WHERE name = ?1) \
               AND object.class = (SELECT id FROM class WHERE name = ?2) \
               AND object.partition IS NOT NULL",
        )?
        .execute((connector.as_str(), class.as_str()))?;
    Ok(())
}

fn queue_metaverse(db: &Db, class: &ClassName) -> Result<()> {
    db.sql
        .prepare_cached(
            "INSERT OR IGNORE INTO mv_queue (mv) SELECT id FROM mv \
             WHERE class = (SELECT id FROM class WHERE name = ?1) ORDER BY id",
        )?
        .execute([class.as_str()])?;
    Ok(())
}

/// A record as it is kept.
#[derive(Serialize, Deserialize)]
struct Stored {
    digest: String,
    surroundings: String,
    rules: Vec<StoredRule>,
}

#[derive(Serialize, Deserialize)]
struct StoredRule {
    tag: String,
    digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    period: Option<i64>,
    inbound: bool,
    connector: String,
    cs_class: String,
    mv_class: String,
}

impl From<&RulesRecord> for Stored {
    fn from(record: &RulesRecord) -> Self {
        let rule = |(tag, mark): (&RuleTag, &RuleMark)| StoredRule {
            tag: tag.to_string(),
            digest: mark.digest.clone(),
            period: mark.period,
            inbound: mark.direction == Direction::Inbound,
            connector: mark.connector.to_string(),
            cs_class: mark.cs_class.to_string(),
            mv_class: mark.mv_class.to_string(),
        };
        Self {
            digest: record.digest.0.clone(),
            surroundings: record.surroundings.clone(),
            rules: record.rules.iter().map(rule).collect(),
        }
    }
}

impl From<Stored> for RulesRecord {
    fn from(stored: Stored) -> Self {
        let rule = |rule: StoredRule| {
            let mark = RuleMark {
                digest: rule.digest,
                period: rule.period,
                direction: match rule.inbound {
                    true => Direction::Inbound,
                    false => Direction::Outbound,
                },
                connector: rule.connector.into(),
                cs_class: rule.cs_class.into(),
                mv_class: rule.mv_class.into(),
            };
            (RuleTag(rule.tag.into()), mark)
        };
        Self {
            digest: RulesetDigest(stored.digest),
            surroundings: stored.surroundings,
            rules: stored.rules.into_iter().map(rule).collect(),
        }
    }
}

//! The rules that objects were last evaluated with: what other rules ask for is queued in the
//! transaction that notes them.

use std::collections::{BTreeMap, BTreeSet};

use kakehi_engine::object::ReferenceKey;
use kakehi_engine::rule::{Direction, Revision, RuleMark, RuleTag, RulesRecord, RulesetDigest};
use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};

use super::failure::Result;
use super::{Db, sift, watched};

/// See [`Store::rules_record`](crate::store::Store::rules_record).
pub(super) fn record(db: &Db) -> Result<Option<RulesRecord>> {
    let mut statement = db.sql.prepare_cached("SELECT value FROM meta WHERE key = 'rules'")?;
    let text: Option<String> = statement.query_row([], |row| row.get(0)).optional()?;
    let Some(text) = text else { return Ok(None) };
    // The record of a program that kept another one cannot be compared: everything is looked at
    // again.
    Ok(serde_json::from_str::<Stored>(&text).ok().map(RulesRecord::from))
}

/// See [`Store::adopt_rules`](crate::store::Store::adopt_rules).
pub(super) fn adopt(db: &Db, record: &RulesRecord, revision: &Revision<'_>) -> Result<u64> {
    let text = serde_json::to_string(&Stored::from(record))
        .expect("a record of texts and numbers can be written as JSON");
    db.sql
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES ('rules', ?1)")?
        .execute([text])?;
    // Whoever is looked through is to be seen with the groups of the newer scopes.
    watched::set(db, &record.watched)?;
    sift::queue(db, revision)
}

/// A record as it is kept.
#[derive(Serialize, Deserialize)]
struct Stored {
    digest: String,
    compat: String,
    sources: Vec<String>,
    targets: BTreeMap<String, String>,
    indexes: BTreeMap<String, String>,
    watched: BTreeSet<String>,
    rules: BTreeMap<String, StoredRule>,
}

#[derive(Serialize, Deserialize)]
struct StoredRule {
    inbound: bool,
    connector: String,
    cs_class: String,
    mv_class: String,
    precedence: u32,
    links: bool,
    answers: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    period: Option<i64>,
    scope: String,
    join: String,
    link: String,
    policies: String,
    leaving: String,
    writes: BTreeSet<String>,
}

impl From<&RulesRecord> for Stored {
    fn from(record: &RulesRecord) -> Self {
        let RulesRecord { digest, compat, sources, targets, indexes, watched, rules } = record;
        let pair = |(name, digest): (&dyn ToString, &String)| (name.to_string(), digest.clone());
        Self {
            digest: digest.0.clone(),
            compat: compat.clone(),
            sources: sources.iter().map(ToString::to_string).collect(),
            targets: targets.iter().map(|(name, digest)| pair((name, digest))).collect(),
            indexes: indexes.iter().map(|(name, digest)| pair((name, digest))).collect(),
            watched: watched.iter().map(ToString::to_string).collect(),
            rules: rules.iter().map(|(tag, mark)| (tag.to_string(), mark.into())).collect(),
        }
    }
}

impl From<&RuleMark> for StoredRule {
    fn from(mark: &RuleMark) -> Self {
        let mark = mark.clone();
        Self {
            inbound: mark.direction == Direction::Inbound,
            connector: mark.connector.to_string(),
            cs_class: mark.cs_class.to_string(),
            mv_class: mark.mv_class.to_string(),
            precedence: mark.precedence,
            links: mark.links,
            answers: mark.answers,
            period: mark.period,
            scope: mark.scope,
            join: mark.join,
            link: mark.link,
            policies: mark.policies,
            leaving: mark.leaving,
            writes: mark.writes.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<Stored> for RulesRecord {
    fn from(stored: Stored) -> Self {
        let Stored { digest, compat, sources, targets, indexes, watched, rules } = stored;
        let rule = |(tag, rule): (String, StoredRule)| (RuleTag(tag.into()), rule.into());
        Self {
            digest: RulesetDigest(digest),
            compat,
            sources: sources.into_iter().map(Into::into).collect(),
            targets: targets.into_iter().map(|(name, digest)| (name.into(), digest)).collect(),
            indexes: indexes.into_iter().map(|(name, digest)| (name.into(), digest)).collect(),
            watched: watched.iter().filter_map(|key| ReferenceKey::parse(key)).collect(),
            rules: rules.into_iter().map(rule).collect(),
        }
    }
}

impl From<StoredRule> for RuleMark {
    fn from(rule: StoredRule) -> Self {
        Self {
            direction: match rule.inbound {
                true => Direction::Inbound,
                false => Direction::Outbound,
            },
            connector: rule.connector.into(),
            cs_class: rule.cs_class.into(),
            mv_class: rule.mv_class.into(),
            precedence: rule.precedence,
            links: rule.links,
            answers: rule.answers,
            period: rule.period,
            scope: rule.scope,
            join: rule.join,
            link: rule.link,
            policies: rule.policies,
            leaving: rule.leaving,
            writes: rule.writes.into_iter().map(Into::into).collect(),
        }
    }
}

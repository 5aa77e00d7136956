//! Short ways to make SCIM targets and their operations: names and texts flow in.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use kakehi::config::secret::Secret;
use kakehi::delivery::scim::{CONNECT_TIMEOUT, Profile, ScimOptions, ScimTarget, TOTAL_TIMEOUT};
use kakehi::edge::{Clock, MatchKeys, WriteOp};
use kakehi_engine::export::AttributeChange;
use kakehi_engine::object::{AttributeMap, Value};
use kakehi_engine::time::Timestamp;

/// The token of every server of the tests.
pub const TOKEN: &str = crate::installation::TOKEN;

/// A clock that moves only when it is told to.
#[derive(Default)]
pub struct StillClock(AtomicI64);

impl StillClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }
}

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

pub fn options(base_url: &str, profile: Profile) -> ScimOptions {
    ScimOptions {
        name: "cloud".into(),
        base_url: base_url.to_owned(),
        token: Arc::new(Secret::new(TOKEN.to_owned())),
        profile,
        allow_loopback: true,
        ca: None,
        connect_timeout: CONNECT_TIMEOUT,
        total_timeout: TOTAL_TIMEOUT,
        clock: Arc::new(StillClock::default()),
    }
}

/// A target with the default profile.
pub fn target(base_url: &str) -> ScimTarget {
    target_with(base_url, Profile::default())
}

pub fn target_with(base_url: &str, profile: Profile) -> ScimTarget {
    ScimTarget::new(options(base_url, profile)).expect("the options of the tests are valid")
}

/// A value by what its text says: `true` and `false` are booleans, everything else is text.
pub fn value(text: &str) -> Value {
    match text {
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        text => Value::text(text),
    }
}

pub fn references(ids: &[String]) -> Vec<Value> {
    ids.iter().map(|id| Value::Reference(id.clone())).collect()
}

pub fn attributes(pairs: &[(&str, &str)]) -> AttributeMap {
    pairs.iter().map(|(name, text)| ((*name).into(), vec![value(text)])).collect()
}

pub fn create_user(pairs: &[(&str, &str)]) -> WriteOp {
    WriteOp::Create { class: "User".into(), attributes: attributes(pairs) }
}

pub fn create_group(name: &str, members: &[String]) -> WriteOp {
    let mut attributes = attributes(&[("displayName", name)]);
    if !members.is_empty() {
        attributes.insert("members".into(), references(members));
    }
    WriteOp::Create { class: "Group".into(), attributes }
}

/// Changes of single-valued attributes; an empty text clears.
pub fn update_user(id: &str, pairs: &[(&str, &str)]) -> WriteOp {
    let changes = pairs.iter().map(|(name, text)| AttributeChange {
        attribute: (*name).into(),
        add: vec![],
        remove: vec![],
        replace: Some(if text.is_empty() { vec![] } else { vec![value(text)] }),
    });
    WriteOp::Update { class: "User".into(), remote_id: id.to_owned(), changes: changes.collect() }
}

pub fn change_members(id: &str, add: &[String], remove: &[String]) -> WriteOp {
    let change = AttributeChange {
        attribute: "members".into(),
        add: references(add),
        remove: references(remove),
        replace: None,
    };
    WriteOp::Update { class: "Group".into(), remote_id: id.to_owned(), changes: vec![change] }
}

pub fn delete_user(id: &str) -> WriteOp {
    WriteOp::Delete { class: "User".into(), remote_id: id.to_owned() }
}

pub fn keys(pairs: &[(&str, &str)]) -> MatchKeys {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).to_owned())).collect()
}

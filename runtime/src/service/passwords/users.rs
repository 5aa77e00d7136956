//! What the synchronization knows of those whose passwords are captured: agents' words flow in,
//! persons flow out (password.md 5.7, 5.8, 7.4).
//!
//! A person is kept under its metaverse object where there is one, since two directories may speak
//! of the same. Before that it is kept under what its source knows it by, and afterwards that is an
//! alias.

use std::collections::{BTreeMap, BTreeSet};

use kakehi_engine::connector_space::{CsId, CsObject, MvId, Presence};
use kakehi_engine::metaverse::MvObject;
use kakehi_engine::object::{
    Anchor, AttributeMap, AttributeName, ConnectorName, ReferenceKey, dn_key,
};
use kakehi_engine::password::{Operation, UserKey};
use kakehi_engine::rule::RuleTag;
use kakehi_password::door::{Contact, Lookup, NotNow, Person, Users};
use kakehi_password::envelope::{KeyType, Metadata};

use crate::store::{Store, StoreError};

/// The attribute of a person by which rules decide where its passwords go: names of targets. A
/// person without it has its passwords everywhere.
const DECISION: &str = "passwordTargets";

/// In front of the number of a metaverse object.
const METAVERSE: &str = "mv:";

/// What decides besides the state.
#[derive(Clone, Debug, Default)]
pub struct UserOptions {
    /// Attribute and value of users that are left out (M4).
    pub exclude: Option<(String, String)>,
    /// How users are found at each target.
    pub matching: BTreeMap<ConnectorName, Matching>,
    /// Inbound rules that let passwords through; none: every user's may pass.
    pub rules: BTreeSet<RuleTag>,
    /// Attributes of a person: its mail address, and its name.
    pub contact: (String, String),
    /// Sources that are synchronized: what they do not know is not there yet.
    pub sources: BTreeSet<ConnectorName>,
}

/// How the users of one target are found.
#[derive(Clone, Debug)]
pub struct Matching {
    /// The attribute of a source; `None`: what the target itself calls its user, or the agent.
    pub source: Option<String>,
    /// The attribute of the target.
    pub target: String,
}

/// Users as the state knows them; a state of its own, for reading.
pub struct KnownUsers {
    store: Box<dyn Store>,
    options: UserOptions,
}

/// An object of a source, with the person that it belongs to.
pub struct Known {
    pub object: CsObject,
    pub mv: Option<MvId>,
}

// === impl KnownUsers ===

impl KnownUsers {
    pub fn new(store: Box<dyn Store>, options: UserOptions) -> Self {
        Self { store, options }
    }

    /// The object of a source that a capture speaks of.
    fn of_capture(&self, metadata: &Metadata) -> Result<Option<Known>, StoreError> {
        let source = ConnectorName::from(metadata.source.as_str());
        match metadata.key_type {
            KeyType::Guid => {
                let anchors = anchors(&metadata.user_key);
                let found = self.store.with_anchor(&source, &anchors)?;
                found.first().map_or(Ok(None), |id| self.object(*id))
            }
            KeyType::Dn => self.by_dn(&source, &metadata.user_key),
            KeyType::Login => Ok(None),
        }
    }

    fn by_dn(&self, source: &ConnectorName, dn: &str) -> Result<Option<Known>, StoreError> {
        let found = {
            let view = self.store.view()?;
            let found = view.resolve(&[ReferenceKey::of_dn(source, dn)]).pop().flatten();
            view.check()?;
            found
        };
        found.map_or(Ok(None), |found| self.object(found.cs))
    }

    /// An object of a source that is there, with its person.
    pub fn object(&self, id: CsId) -> Result<Option<Known>, StoreError> {
        let view = self.store.view()?;
        let object = view.cs_objects(&[id]).pop();
        view.check()?;
        let object = object.filter(|object| object.presence == Presence::Imported);
        Ok(object.map(|object| Known { mv: object.link.as_ref().map(|link| link.mv), object }))
    }

    /// The objects of sources that a person consists of, and the person.
    fn of_person(&self, mv: MvId) -> Result<(Option<MvObject>, Vec<CsObject>), StoreError> {
        let view = self.store.view()?;
        let person = view.mv_objects(&[mv]).pop();
        let linked = view.linked(&[mv]).remove(&mv).unwrap_or_default();
        let of_sources = |connector: &ConnectorName| self.options.sources.contains(connector);
        let ids: Vec<CsId> = linked
            .iter()
            .filter(|linked| of_sources(&linked.connector))
            .map(|linked| linked.cs)
            .collect();
        let objects = view.cs_objects(&ids);
        view.check()?;
        Ok((person, objects))
    }

    /// The object of a target that belongs to a person: its id, whether it is there, and whether
    /// nothing waits to be written to it.
    pub fn at_target(
        &self,
        mv: MvId,
        target: &ConnectorName,
    ) -> Result<Option<(CsId, Option<String>, bool)>, StoreError> {
        let id = {
            let view = self.store.view()?;
            let id = view.targets_of(&[mv], target).pop().flatten();
            view.check()?;
            id
        };
        let Some(id) = id else { return Ok(None) };
        let remote_id = self.store.remote_ids(&[id])?.pop().flatten();
        let settled = self.store.pending_of(&[id])?.is_empty();
        Ok(Some((id, remote_id, settled)))
    }

    /// Of which person an object of a target is.
    pub fn person_of(&self, target_object: CsId) -> Result<Option<MvId>, StoreError> {
        let view = self.store.view()?;
        let object = view.cs_objects(&[target_object]).pop();
        view.check()?;
        Ok(object.and_then(|object| object.link).map(|link| link.mv))
    }

    /// What a person's slots may be kept under besides its own key.
    pub fn aliases(&self, mv: MvId) -> Result<Vec<UserKey>, StoreError> {
        Ok(self.of_person(mv)?.1.iter().flat_map(aliases_of).collect())
    }

    /// By what the user is found at a target: an attribute of its sources, or what the target was
    /// last seen to call it.
    pub fn login(&self, mv: MvId, target: &ConnectorName) -> Result<Option<String>, StoreError> {
        let Some(matching) = self.options.matching.get(target) else { return Ok(None) };
        if let Some(attribute) = &matching.source {
            let (_, objects) = self.of_person(mv)?;
            return Ok(objects.iter().find_map(|object| text(&object.attributes, attribute)));
        }
        let view = self.store.view()?;
        let there = view.targets_of(&[mv], target).pop().flatten();
        let object = there.and_then(|id| view.cs_objects(&[id]).pop());
        view.check()?;
        Ok(object.and_then(|object| text(&object.attributes, &matching.target)))
    }

    /// Whether an account has rights that its password must not leave the house for.
    fn is_privileged(&self, object: &CsObject) -> bool {
        self.options.exclude.as_ref().is_some_and(|(attribute, value)| {
            texts(&object.attributes, attribute).any(|held| held == *value)
        })
    }

    /// Whether the rules let the passwords of this object pass (R-102, password sync).
    fn is_synchronized(&self, object: &CsObject) -> bool {
        let rules = &self.options.rules;
        rules.is_empty() || object.contributions.iter().any(|said| rules.contains(&said.rule))
    }

    fn found(
        &self,
        user: &UserKey,
        target: &ConnectorName,
        login: &str,
    ) -> Result<Option<Lookup>, StoreError> {
        let Some(mv) = metaverse_id(user) else {
            // A DN names whoever has it now; only what never changes may be acted on.
            let is_dn = user.0.split_once('/').is_some_and(|(source, key)| {
                key.starts_with("dn:") && self.options.sources.contains(source)
            });
            return Ok((!is_dn).then(|| Lookup { value: login.to_owned(), remote_id: None }));
        };
        let (person, objects) = self.of_person(mv)?;
        if objects.iter().any(|object| self.is_privileged(object))
            || !objects.iter().any(|object| self.is_synchronized(object))
            || !goes_to(person.as_ref(), target)
        {
            return Ok(None);
        }
        let value = self.login(mv, target)?;
        let remote_id = self.at_target(mv, target)?.and_then(|(_, remote_id, _)| remote_id);
        Ok(Some(Lookup { value: value.unwrap_or_else(|| login.to_owned()), remote_id }))
    }
}

impl Users for KnownUsers {
    fn person(
        &self,
        metadata: &Metadata,
        _: Operation,
        targets: &BTreeSet<ConnectorName>,
    ) -> Result<Person, NotNow> {
        let known = self.of_capture(metadata).map_err(not_now)?;
        let own = own_key(metadata);
        let Some(Known { object, mv }) = known else {
            let targets = targets.clone();
            return Ok(Person { key: own, aliases: vec![], privileged: false, targets });
        };
        let mut aliases = aliases_of(&object);
        aliases.push(own);
        let key = match mv {
            Some(mv) => {
                aliases.extend(self.aliases(mv).map_err(not_now)?);
                key_of(mv)
            }
            None => aliases.remove(0),
        };
        aliases.sort_unstable();
        aliases.dedup();
        aliases.retain(|alias| *alias != key);
        let passes = self.is_synchronized(&object);
        let person = match mv {
            Some(mv) => self.of_person(mv).map_err(not_now)?.0,
            None => None,
        };
        let goes = |target: &&ConnectorName| passes && goes_to(person.as_ref(), target);
        Ok(Person {
            key,
            aliases,
            privileged: self.is_privileged(&object),
            targets: targets.iter().filter(goes).cloned().collect(),
        })
    }

    fn lookup(&self, user: &UserKey, target: &ConnectorName, login: &str) -> Option<Lookup> {
        self.found(user, target, login).unwrap_or_else(|error| {
            // It is tried again as if the user were not there yet.
            tracing::warn!(event_id = "PW052", %error, "a user could not be looked up");
            None
        })
    }

    fn contact(&self, user: &UserKey) -> Option<Contact> {
        let (person, objects) = self.of_person(metaverse_id(user)?).ok()?;
        let (address, name) = &self.options.contact;
        let of_person = |attribute: &str| {
            let values = &person.as_ref()?.attributes.get(&AttributeName::from(attribute))?.values;
            Some(values.first()?.as_text()?.into_owned())
        };
        let of_sources =
            |attribute: &str| objects.iter().find_map(|object| text(&object.attributes, attribute));
        let address = of_person(address).or_else(|| of_sources(address))?;
        let display_name =
            of_person(name).or_else(|| of_sources(name)).unwrap_or_else(|| address.clone());
        Some(Contact { address, display_name })
    }
}

/// Where nothing is synchronized: users are what captures call them.
pub struct ToldUsers;

impl Users for ToldUsers {
    fn person(
        &self,
        metadata: &Metadata,
        _: Operation,
        targets: &BTreeSet<ConnectorName>,
    ) -> Result<Person, NotNow> {
        let (key, targets) = (own_key(metadata), targets.clone());
        Ok(Person { key, aliases: vec![], privileged: false, targets })
    }

    fn lookup(&self, _: &UserKey, _: &ConnectorName, login: &str) -> Option<Lookup> {
        Some(Lookup { value: login.to_owned(), remote_id: None })
    }

    fn contact(&self, _: &UserKey) -> Option<Contact> {
        None
    }
}

/// Whether rules let the passwords of a person go to a target.
fn goes_to(person: Option<&MvObject>, target: &ConnectorName) -> bool {
    let decision = person.and_then(|person| person.attributes.get(&AttributeName::from(DECISION)));
    decision.is_none_or(|decision| {
        decision
            .values
            .iter()
            .filter_map(|value| value.as_text())
            .any(|name| *name == *target.as_str())
    })
}

/// The key of a person of the metaverse.
pub fn key_of(mv: MvId) -> UserKey {
    format!("{METAVERSE}{}", mv.0).into()
}

/// The metaverse object that a key names.
pub fn metaverse_id(user: &UserKey) -> Option<MvId> {
    user.0.strip_prefix(METAVERSE)?.parse().ok().map(MvId)
}

/// What slots of an object of a source may be kept under before it is joined, the one that never
/// changes first.
pub fn aliases_of(object: &CsObject) -> Vec<UserKey> {
    let anchor = object.anchor.as_ref();
    aliases(&object.connector, anchor, &object.dn)
}

/// As [`aliases_of`], of an object that is gone.
pub fn aliases(connector: &ConnectorName, anchor: Option<&Anchor>, dn: &str) -> Vec<UserKey> {
    let mut keys: Vec<UserKey> = vec![];
    let mut push = |kind: &str, text: &str| keys.push(format!("{connector}/{kind}:{text}").into());
    match anchor.map(|anchor| (anchor, <[u8; 16]>::try_from(anchor.0.as_slice()))) {
        Some((_, Ok(bytes))) => {
            push("guid", &guid(bytes));
            // Active Directory writes the first three groups the other way round.
            push("guid", &guid(swapped(bytes)));
        }
        Some((anchor, Err(_))) => push("guid", &anchor.to_string().to_lowercase()),
        None => {}
    }
    if !dn.is_empty() {
        push("dn", &dn_key(dn));
    }
    keys
}

/// What a capture calls its user.
fn own_key(metadata: &Metadata) -> UserKey {
    let (kind, key) = match metadata.key_type {
        KeyType::Guid => ("guid", metadata.user_key.to_lowercase()),
        KeyType::Dn => ("dn", dn_key(&metadata.user_key)),
        KeyType::Login => ("login", metadata.user_key.to_lowercase()),
    };
    format!("{}/{kind}:{key}", metadata.source).into()
}

/// The anchors that an id as text may be stored as: its bytes in either order, or the text.
fn anchors(id: &str) -> Vec<Anchor> {
    let digits: Vec<u8> = id
        .bytes()
        .filter(|byte| *byte != b'-')
        .map_while(|byte| char::from(byte).to_digit(16).and_then(|digit| digit.try_into().ok()))
        .collect();
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    let mut anchors = vec![Anchor(id.as_bytes().to_vec())];
    if let Ok(bytes) = <[u8; 16]>::try_from(bytes) {
        anchors.extend([Anchor(bytes.to_vec()), Anchor(swapped(bytes).to_vec())]);
    }
    anchors
}

fn guid(bytes: [u8; 16]) -> String {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let groups = [&hex[..4], &hex[4..6], &hex[6..8], &hex[8..10], &hex[10..]];
    groups.map(|group| group.concat()).join("-")
}

/// The bytes of a GUID in the other order (MS-DTYP 2.3.4).
fn swapped(bytes: [u8; 16]) -> [u8; 16] {
    let mut other = bytes;
    other[..4].reverse();
    other[4..6].reverse();
    other[6..8].reverse();
    other
}

fn text(attributes: &AttributeMap, name: &str) -> Option<String> {
    texts(attributes, name).next()
}

/// Values under a name in whatever case the server writes it.
fn texts(attributes: &AttributeMap, name: &str) -> impl Iterator<Item = String> {
    let named = attributes.iter().filter(move |(key, _)| key.as_str().eq_ignore_ascii_case(name));
    named.flat_map(|(_, values)| values).filter_map(|value| Some(value.as_text()?.into_owned()))
}

fn not_now(error: StoreError) -> NotNow {
    NotNow { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_however_its_directory_writes_it() {
        let text = "5a6f0001-0203-0405-0607-08090a0b0c0d";
        let found = anchors(text);
        assert_eq!(found.len(), 3);
        for anchor in &found[1..] {
            let keys = aliases(&"corp".into(), Some(anchor), "");
            assert!(keys.contains(&UserKey::from(format!("corp/guid:{text}"))), "{keys:?}");
        }
        assert_eq!(anchors("no-guid"), vec![Anchor(b"no-guid".to_vec())]);
    }

    #[test]
    fn a_key_of_the_metaverse_is_told_from_all_others() {
        assert_eq!(metaverse_id(&key_of(MvId(7))), Some(MvId(7)));
        for other in ["corp/guid:1", "mv:", "mv:x", "corp/login:mv:7"] {
            assert_eq!(metaverse_id(&UserKey::from(other)), None, "{other}");
        }
    }
}

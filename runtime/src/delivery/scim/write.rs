//! Writing one object: attributes or changes flow in, requests go out, and what the target then
//! shows flows out (delivery.md 7). A request is sent again only after the server refused it for
//! certain.

use std::borrow::Cow;

use kakehi_engine::export::AttributeChange;
use kakehi_engine::object::{AttributeMap, AttributeName, Value};
use kakehi_engine::problem::ProblemKind;
use reqwest::Method;
use serde_json::{Value as Json, json};

use super::client::{Client, Request};
use super::learned::{Dialect, Learned};
use super::map::{self, Resource};
use super::patch::{self, Change};
use super::path::{Path, PathError};
use super::profile::{EmptyMembers, Profile};
use super::response::{self, Answer, Refusal};
use super::schema::{self, ResourceType};
use crate::edge::{TargetError, Written};

/// The writing half for objects of one class.
pub struct Writer<'a> {
    pub client: &'a Client,
    pub profile: &'a Profile,
    pub learned: &'a Learned,
    pub kind: ResourceType,
}

/// An object that is known to have changed, with what the last answer showed of it.
struct Sent<'a> {
    id: &'a str,
    shown: Option<Resource>,
    /// The words in which its attributes were sent last; `None` for a new object.
    dialect: Option<Dialect>,
}

// === impl Writer ===

impl Writer<'_> {
    /// Creates an object. Members that do not fit one request follow in further ones.
    pub async fn create(&self, attributes: &AttributeMap) -> Result<Written, TargetError> {
        let wanted: Vec<AttributeChange> =
            attributes.iter().map(|(name, values)| creation(name, values)).collect();
        let changes = read_changes(&wanted)?;
        let (members, others): (Vec<_>, Vec<_>) =
            changes.iter().cloned().partition(Change::is_members);
        let mut body = map::blank(self.kind);
        others.iter().for_each(|change| change.apply(&mut body));
        let fits = members.iter().all(|change| change.change.add.len() <= self.learned.chunk());
        if fits {
            members.iter().for_each(|change| change.apply(&mut body));
        }
        let is_group = self.kind == schema::GROUP;
        if is_group && self.profile.create_group_members == EmptyMembers::Empty {
            body.entry("members").or_insert_with(|| json!([]));
        }
        let request = Request::new(Method::POST, self.kind.endpoint).body(Json::Object(body));
        let shown = match self.client.send(request).await? {
            Answer::Done(shown) => shown,
            Answer::Refused(refusal) => return Err(refusal.into_error()),
        };
        let id = shown.as_ref().and_then(id_of).ok_or_else(|| {
            response::in_doubt(&self.client.name, "it created an object and gave no id".into())
        })?;
        let mut sent = Sent { id: &id, shown, dialect: None };
        // From here on the object exists: whatever fails, the caller has to look at it again.
        if !fits {
            let late = self.send_members(&id, &members, None).await;
            sent.shown = late.map_err(|error| self.half_done(error))?;
        }
        let result = self.confirm(sent, changes).await;
        result.map_err(|error| self.half_done(error))
    }

    /// Changes an object: attributes first, then members.
    ///
    /// Once a request has succeeded every failure leaves the object in doubt, since it is neither
    /// as it was nor as it should be.
    pub async fn update(
        &self,
        id: &str,
        changes: &[AttributeChange],
    ) -> Result<Written, TargetError> {
        let changes = read_changes(changes)?;
        let dialect = self.learned.dialect();
        let mut sent = Sent { id, shown: None, dialect: Some(dialect) };
        if dialect == Dialect::Put {
            sent.shown = self.put(id, &changes).await?;
        } else {
            let (members, others): (Vec<_>, Vec<_>) =
                changes.iter().cloned().partition(Change::is_members);
            if !others.is_empty() {
                sent.shown = self.send_attributes(id, &others, dialect).await?;
            }
            if !members.is_empty() {
                let result = self.send_members(id, &members, None).await;
                sent.shown = match result {
                    Err(error) if !others.is_empty() => return Err(self.half_done(error)),
                    result => result?,
                };
            }
        }
        self.confirm(sent, changes).await
    }

    /// Deletes an object. One that is not there is deleted.
    pub async fn delete(&self, id: &str) -> Result<Written, TargetError> {
        let request = Request::new(Method::DELETE, self.kind.endpoint).id(id);
        match self.client.send(request).await? {
            Answer::Refused(refusal) if !self.says_missing(&refusal) => Err(refusal.into_error()),
            _ => Ok(Written { remote_id: id.to_owned(), diverging: vec![] }),
        }
    }

    /// Reads an object, with its members or without; `None` if it is not there.
    pub async fn read(&self, id: &str, members: bool) -> Result<Option<Resource>, TargetError> {
        let mut request = Request::new(Method::GET, self.kind.endpoint).id(id);
        if !members || self.kind == schema::USER {
            request = request.query("excludedAttributes", self.kind.bulky);
        }
        match self.client.send(request).await? {
            Answer::Done(resource) => Ok(resource),
            Answer::Refused(refusal) if self.says_missing(&refusal) => Ok(None),
            Answer::Refused(refusal) => Err(read_refused(self.client, &refusal)),
        }
    }

    /// Reads an object that must be there.
    pub(super) async fn read_known(&self, id: &str) -> Result<Resource, TargetError> {
        self.read(id, true).await?.ok_or_else(|| {
            let message = "the target no longer has the object".into();
            response::rejected(ProblemKind::TargetMissing, message)
        })
    }

    pub(super) async fn patch(
        &self,
        id: &str,
        operations: Vec<Json>,
    ) -> Result<Answer, TargetError> {
        let request = Request::new(Method::PATCH, self.kind.endpoint).id(id);
        self.client.send(request.body(patch::body(operations))).await
    }

    /// The error of a write whose earlier requests were carried out.
    pub(super) fn half_done(&self, error: TargetError) -> TargetError {
        match error {
            TargetError::InDoubt { .. } => error,
            TargetError::Unavailable { message, .. }
            | TargetError::Refused { message, .. }
            | TargetError::Rejected { message, .. }
            | TargetError::Protocol { message, .. } => {
                response::in_doubt(&self.client.name, format!("half done: {message}"))
            }
        }
    }

    /// Changes attributes other than members, in the given words or, if they are refused, in
    /// others.
    async fn send_attributes(
        &self,
        id: &str,
        changes: &[Change<'_>],
        mut dialect: Dialect,
    ) -> Result<Option<Resource>, TargetError> {
        loop {
            let answer = match dialect {
                Dialect::Path => match patch::by_path(changes) {
                    Some(operations) => self.patch(id, operations).await?,
                    None => {
                        dialect = Dialect::Merged;
                        continue;
                    }
                },
                Dialect::Merged => {
                    let current = self.read_known(id).await?;
                    match patch::merged(changes, &current) {
                        nothing if nothing.is_empty() => return Ok(Some(current)),
                        operations => self.patch(id, operations).await?,
                    }
                }
                Dialect::Put => return self.put(id, changes).await,
            };
            let refusal = match answer {
                Answer::Done(shown) => return Ok(shown),
                Answer::Refused(refusal) => refusal,
            };
            dialect = match dialect.next() {
                // No PATCH at all: whole attributes would be refused as well.
                Some(_) if refusal.status == 405 => Dialect::Put,
                Some(next) if refusal.is_permanent() => next,
                Some(next @ Dialect::Merged) if refusal.wants_other_words() => next,
                _ => return Err(refusal.into_error()),
            };
            if refusal.is_permanent() {
                self.learned.raise_dialect(dialect);
            }
        }
    }

    /// GET, merge, PUT: what nobody manages survives (DV-12).
    async fn put(&self, id: &str, changes: &[Change<'_>]) -> Result<Option<Resource>, TargetError> {
        let mut body = self.read_known(id).await?;
        changes.iter().for_each(|change| change.apply(&mut body));
        body.retain(|key, _| !["meta", "groups"].contains(&key.as_str()));
        let request = Request::new(Method::PUT, self.kind.endpoint).id(id);
        match self.client.send(request.body(Json::Object(body))).await? {
            Answer::Done(shown) => Ok(shown),
            Answer::Refused(refusal) => Err(refusal.into_error()),
        }
    }

    /// Looks whether the target shows what was written; asks once more in other words if it does
    /// not (DV-03). Gives the attributes it still does not show.
    async fn confirm(
        &self,
        sent: Sent<'_>,
        mut changes: Vec<Change<'_>>,
    ) -> Result<Written, TargetError> {
        let Sent { id, shown, dialect } = sent;
        if !self.profile.members.readable {
            changes.retain(|change| !change.is_members());
        }
        // A body may be partial: it can confirm, but only a read can contradict.
        let is_shown = |shown| left(&changes, &shown).is_empty();
        if changes.is_empty() || shown.is_some_and(is_shown) {
            return Ok(Written { remote_id: id.to_owned(), diverging: vec![] });
        }
        changes = left(&changes, &self.reread(id, &changes).await?);
        if !changes.is_empty() {
            self.ask_again(id, &changes, dialect).await?;
            changes = left(&changes, &self.reread(id, &changes).await?);
        }
        let diverging = changes.iter().map(|change| change.change.attribute.clone()).collect();
        Ok(Written { remote_id: id.to_owned(), diverging })
    }

    async fn reread(&self, id: &str, changes: &[Change<'_>]) -> Result<Resource, TargetError> {
        let members = changes.iter().any(Change::is_members);
        match self.read(id, members).await {
            Ok(Some(shown)) => Ok(shown),
            Ok(None) => Err(response::in_doubt(&self.client.name, "the object vanished".into())),
            Err(error) => Err(self.half_done(error)),
        }
    }

    /// One more try of what the target accepted and does not show, in the next dialect.
    async fn ask_again(
        &self,
        id: &str,
        changes: &[Change<'_>],
        tried: Option<Dialect>,
    ) -> Result<(), TargetError> {
        let (members, others): (Vec<_>, Vec<_>) =
            changes.iter().cloned().partition(Change::is_members);
        let dialect = match tried {
            None => Some(self.learned.dialect()),
            Some(tried) => tried.next(),
        };
        if let Some(dialect) = dialect
            && !others.is_empty()
        {
            self.settle(self.send_attributes(id, &others, dialect).await)?;
        }
        if !members.is_empty() && tried != Some(Dialect::Put) {
            let silent = tried.and(self.learned.removals().first().copied());
            self.settle(self.send_members(id, &members, silent).await)?;
        }
        Ok(())
    }

    /// A refusal of the second try leaves things as the first one did.
    fn settle(&self, second: Result<Option<Resource>, TargetError>) -> Result<(), TargetError> {
        match second {
            Ok(_) | Err(TargetError::Rejected { .. }) => Ok(()),
            Err(error) => Err(self.half_done(error)),
        }
    }

    fn says_missing(&self, refusal: &Refusal) -> bool {
        matches!(refusal.status, 404 | 410)
            || self.profile.not_found_alias.contains(&refusal.status)
    }
}

/// The error of a read that the server will not answer: no object is to blame for it.
pub fn read_refused(client: &Client, refusal: &Refusal) -> TargetError {
    let message = format!("a read failed: {refusal}");
    match refusal.status {
        500.. => response::unavailable(&client.name, message),
        _ => response::protocol(&client.name, message),
    }
}

/// An object's id. Some servers count their objects instead of naming them.
pub fn id_of(resource: &Resource) -> Option<String> {
    match map::member(resource, "id")? {
        Json::String(id) if !id.is_empty() => Some(id.clone()),
        Json::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

/// What a target does not show yet.
fn left<'a>(changes: &[Change<'a>], shown: &Resource) -> Vec<Change<'a>> {
    changes.iter().filter_map(|change| change.left_in(shown)).collect()
}

fn creation(name: &AttributeName, values: &[Value]) -> AttributeChange {
    let change =
        AttributeChange { attribute: name.clone(), add: vec![], remove: vec![], replace: None };
    match name.as_str() {
        // A new group has no other members, and a deviating server may add some of its own.
        "members" => AttributeChange { add: values.to_vec(), ..change },
        _ => AttributeChange { replace: Some(values.to_vec()), ..change },
    }
}

fn read_changes(changes: &[AttributeChange]) -> Result<Vec<Change<'_>>, TargetError> {
    changes
        .iter()
        .map(|change| {
            let path = Path::parse(change.attribute.as_str())?;
            Ok(Change { path, change: Cow::Borrowed(change) })
        })
        .collect::<Result<_, PathError>>()
        .map_err(no_path)
}

fn no_path(error: PathError) -> TargetError {
    response::rejected(ProblemKind::InvalidValue, error.to_string())
}

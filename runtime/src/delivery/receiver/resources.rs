//! The receiver's objects: parsed requests flow in, changed objects and SCIM answers flow out
//! (RFC 7643 sections 4.1 and 4.2; RFC 7644 sections 3.3 to 3.6).

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value as Json, json};

use crate::delivery::scim::path::Path;

pub type Object = Map<String, Json>;

/// Objects in one page when the client does not say.
const PAGE_DEFAULT: usize = 100;

#[derive(Default)]
pub struct Resources {
    users: BTreeMap<String, Object>,
    groups: BTreeMap<String, Object>,
    /// Id of the user with a folded user name.
    user_names: BTreeMap<String, String>,
    created: u64,
}

#[derive(Debug, Default)]
pub struct Query {
    pub filter: Option<String>,
    /// Counted from 1.
    pub start: Option<usize>,
    pub count: Option<usize>,
    /// Attribute names, separated by commas.
    pub only: Option<String>,
    pub without: Option<String>,
}

pub enum Outcome {
    Created(Json),
    Shown(Json),
    Gone,
}

/// An error with its body (RFC 7644 section 3.12).
pub struct ScimError {
    pub status: u16,
    pub body: Json,
}

// === impl ScimError ===

impl ScimError {
    pub fn new(status: u16, scim_type: Option<&str>, detail: &str) -> Self {
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": status.to_string(),
            "detail": detail,
        });
        if let Some(scim_type) = scim_type {
            body["scimType"] = json!(scim_type);
        }
        Self { status, body }
    }
}

// === impl Resources ===

impl Resources {
    /// What an earlier receiver held. What is no object with an id is left out.
    pub fn restored(state: &Json) -> Self {
        let mut resources = Self::default();
        for kind in ["Users", "Groups"] {
            for object in state[kind].as_array().into_iter().flatten() {
                let text = |name: &str| object.get(name).and_then(Json::as_str);
                let (Some(fields), Some(id)) = (object.as_object(), text("id")) else {
                    continue;
                };
                if let (true, Some(name)) = (kind == "Users", text("userName")) {
                    resources.user_names.insert(name.to_lowercase(), id.to_owned());
                }
                resources.created += 1;
                resources.of_mut(kind).insert(id.to_owned(), fields.clone());
            }
        }
        resources
    }

    /// All objects of one endpoint, oldest first.
    pub fn all(&self, kind: &str) -> Vec<Json> {
        self.of(kind).values().cloned().map(Json::Object).collect()
    }

    pub fn create(&mut self, kind: &str, mut object: Object) -> Result<Outcome, ScimError> {
        let name = self.checked_name(kind, &object, None)?;
        self.created += 1;
        // Ids sort as they were given, so that pages keep their order.
        let id = format!("{}-{:08}", &kind[..1].to_lowercase(), self.created);
        object.insert("id".into(), json!(id));
        object.insert("meta".into(), json!({ "resourceType": kind.trim_end_matches('s') }));
        tidy(&mut object);
        if kind == "Users" {
            self.user_names.insert(name, id.clone());
        }
        let shown = Json::Object(object.clone());
        self.of_mut(kind).insert(id, object);
        Ok(Outcome::Created(shown))
    }

    pub fn show(&self, kind: &str, id: &str, query: &Query) -> Result<Outcome, ScimError> {
        Ok(Outcome::Shown(query.view(self.known(kind, id)?)))
    }

    pub fn list(&self, kind: &str, query: &Query) -> Result<Outcome, ScimError> {
        let terms = query.filter.as_deref().map_or(Ok(vec![]), parse_filter)?;
        let matching = self.of(kind).values().filter(|object| {
            terms.iter().all(|(name, value)| {
                let found = object.get(*name).and_then(Json::as_str);
                found.is_some_and(|found| fold(name, found) == fold(name, value))
            })
        });
        let matching: Vec<&Object> = matching.collect();
        let start = query.start.unwrap_or(1).max(1);
        let count = query.count.unwrap_or(PAGE_DEFAULT);
        let page: Vec<Json> =
            matching.iter().skip(start - 1).take(count).map(|object| query.view(object)).collect();
        Ok(Outcome::Shown(json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": matching.len(),
            "startIndex": start,
            "itemsPerPage": page.len(),
            "Resources": page,
        })))
    }

    pub fn replace(
        &mut self,
        kind: &str,
        id: &str,
        mut object: Object,
    ) -> Result<Outcome, ScimError> {
        let meta = self.known(kind, id)?.get("meta").cloned().unwrap_or_default();
        object.insert("id".into(), json!(id));
        object.insert("meta".into(), meta);
        self.store(kind, id, object)
    }

    pub fn patch(&mut self, kind: &str, id: &str, body: &Json) -> Result<Outcome, ScimError> {
        let mut object = self.known(kind, id)?.clone();
        let operations = body["Operations"].as_array();
        for operation in operations.ok_or_else(|| invalid("`Operations` is missing"))? {
            operate(&mut object, operation)?;
        }
        self.store(kind, id, object)
    }

    pub fn delete(&mut self, kind: &str, id: &str) -> Result<Outcome, ScimError> {
        self.known(kind, id)?;
        self.of_mut(kind).remove(id);
        self.user_names.retain(|_, owner| owner != id);
        for group in self.groups.values_mut() {
            if let Some(Json::Array(members)) = group.get_mut("members") {
                members.retain(|member| member["value"] != id);
            }
        }
        Ok(Outcome::Gone)
    }

    fn store(&mut self, kind: &str, id: &str, mut object: Object) -> Result<Outcome, ScimError> {
        let name = self.checked_name(kind, &object, Some(id))?;
        tidy(&mut object);
        if kind == "Users" {
            self.user_names.retain(|_, owner| owner != id);
            self.user_names.insert(name, id.to_owned());
        }
        let shown = Json::Object(object.clone());
        self.of_mut(kind).insert(id.to_owned(), object);
        Ok(Outcome::Shown(shown))
    }

    /// The folded name an object must have; a user's must be free.
    fn checked_name(
        &self,
        kind: &str,
        object: &Object,
        owner: Option<&str>,
    ) -> Result<String, ScimError> {
        let attribute = if kind == "Users" { "userName" } else { "displayName" };
        let name = object.get(attribute).and_then(Json::as_str).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| invalid("the object has no name"))?.to_lowercase();
        match self.user_names.get(&name) {
            Some(other) if kind == "Users" && owner != Some(other) => {
                Err(ScimError::new(409, Some("uniqueness"), "the user name is taken"))
            }
            _ => Ok(name),
        }
    }

    fn known(&self, kind: &str, id: &str) -> Result<&Object, ScimError> {
        self.of(kind).get(id).ok_or_else(|| ScimError::new(404, None, "no such object"))
    }

    fn of(&self, kind: &str) -> &BTreeMap<String, Object> {
        if kind == "Users" { &self.users } else { &self.groups }
    }

    fn of_mut(&mut self, kind: &str) -> &mut BTreeMap<String, Object> {
        if kind == "Users" { &mut self.users } else { &mut self.groups }
    }
}

// === impl Query ===

impl Query {
    /// An object with the attributes that were asked for.
    fn view(&self, object: &Object) -> Json {
        let names = |list: &Option<String>, name: &str| {
            list.as_deref().is_some_and(|list| list.split(',').any(|one| one.trim() == name))
        };
        let keeps = |name: &str| match &self.only {
            Some(_) => matches!(name, "id" | "schemas") || names(&self.only, name),
            None => !names(&self.without, name),
        };
        let kept = object.iter().filter(|(name, _)| keeps(name));
        Json::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}

fn invalid(detail: &str) -> ScimError {
    ScimError::new(400, Some("invalidValue"), detail)
}

/// What is kept of an object. A password is taken and never shown (RFC 7643 section 7, `returned`).
fn tidy(object: &mut Object) {
    object.retain(|name, value| !name.eq_ignore_ascii_case("password") && !is_nothing(value));
}

fn is_nothing(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(elements) => elements.is_empty(),
        _ => false,
    }
}

fn fold(name: &str, value: &str) -> String {
    match name {
        "userName" | "displayName" => value.to_lowercase(),
        _ => value.to_owned(),
    }
}

/// Reads `name eq "value"` terms joined by `and`.
fn parse_filter(text: &str) -> Result<Vec<(&str, String)>, ScimError> {
    let refused =
        || ScimError::new(400, Some("invalidFilter"), "only `eq` joined by `and` is known");
    let mut terms = vec![];
    let mut rest = text;
    loop {
        let (name, tail) = rest.trim_start().split_once(" eq ").ok_or_else(refused)?;
        if !["userName", "externalId", "displayName", "id"].contains(&name) {
            return Err(refused());
        }
        let mut literal = serde_json::Deserializer::from_str(tail).into_iter::<String>();
        let value = literal.next().and_then(Result::ok).ok_or_else(refused)?;
        terms.push((name, value));
        rest = tail[literal.byte_offset()..].trim_start();
        if rest.is_empty() {
            return Ok(terms);
        }
        rest = rest.strip_prefix("and ").ok_or_else(refused)?;
    }
}

fn operate(object: &mut Object, operation: &Json) -> Result<(), ScimError> {
    let op = operation["op"].as_str().unwrap_or("").to_lowercase();
    let value = operation.get("value");
    let Some(text) = operation["path"].as_str() else {
        let (Some(Json::Object(values)), "add" | "replace") = (value, op.as_str()) else {
            return Err(ScimError::new(400, Some("noTarget"), "the operation has no path"));
        };
        object.extend(values.clone());
        return Ok(());
    };
    let refused = |_| ScimError::new(400, Some("invalidPath"), "the path cannot be read");
    let path = Path::parse(text).map_err(refused)?;
    let container = match path.urn {
        None => object,
        Some(urn) => {
            let extension = object.entry(urn).or_insert_with(|| json!({}));
            extension.as_object_mut().ok_or_else(|| invalid("the extension is no object"))?
        }
    };
    match (&path.filter, op.as_str(), value) {
        (None, "add" | "replace", Some(value)) => {
            write(container, &path, value, op == "add");
            Ok(())
        }
        // A list of values is not what RFC 7644 section 3.5.2.2 removes by.
        (_, "remove", Some(_)) => Err(invalid("`remove` takes no value")),
        (None, "remove", None) => {
            match (path.sub, container.get_mut(path.attribute)) {
                (Some(sub), Some(Json::Object(node))) => node.remove(sub),
                _ => container.remove(path.attribute),
            };
            Ok(())
        }
        (Some(filter), op, value) => {
            let elements = container.get_mut(path.attribute).and_then(Json::as_array_mut);
            let position = elements.as_ref().and_then(|elements| {
                elements.iter().position(|one| one[filter.key] == filter.literal)
            });
            match (elements.zip(position), op, path.sub, value) {
                (None, "remove", ..) => {}
                (None, ..) => {
                    return Err(ScimError::new(400, Some("noTarget"), "no element matches"));
                }
                (Some((elements, at)), "remove", None, None) => drop(elements.remove(at)),
                (Some((elements, at)), "remove", Some(sub), None) => elements[at][sub] = Json::Null,
                (Some((elements, at)), "add" | "replace", Some(sub), Some(value)) => {
                    elements[at][sub] = value.clone();
                }
                _ => return Err(invalid("the operation is unknown")),
            }
            Ok(())
        }
        _ => Err(invalid("the operation is unknown")),
    }
}

fn write(container: &mut Object, path: &Path<'_>, value: &Json, add: bool) {
    if let Some(sub) = path.sub {
        let node = container.entry(path.attribute).or_insert_with(|| json!({}));
        if let Json::Object(node) = node {
            node.insert(sub.to_owned(), value.clone());
        }
        return;
    }
    match (container.get_mut(path.attribute), value) {
        (Some(Json::Array(present)), Json::Array(added)) if add => {
            // A group of many thousands is added to in many requests.
            let mut known: HashSet<String> =
                present.iter().map(|known| known["value"].to_string()).collect();
            let new = added.iter().filter(|new| known.insert(new["value"].to_string()));
            present.extend(new.cloned().collect::<Vec<_>>());
        }
        _ => drop(container.insert(path.attribute.to_owned(), value.clone())),
    }
}

//! PATCH bodies: attribute changes flow in, operations flow out, in one of two dialects (RFC 7644
//! section 3.5.2; delivery.md 7, 15). All single-valued changes of an object make one request.

use std::borrow::Cow;

use kakehi_engine::export::AttributeChange;
use kakehi_engine::object::Value;
use serde_json::{Value as Json, json};

use super::map::{self, Resource};
use super::path::Path;
use super::schema;

const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// A change with its attribute's path read.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    pub path: Path<'a>,
    pub change: Cow<'a, AttributeChange>,
}

// === impl Change ===

impl Change<'_> {
    pub fn is_members(&self) -> bool {
        self.path.urn.is_none() && self.path.attribute == "members"
    }

    /// The part of the change that a resource does not show; `None` if it shows all of it.
    pub fn left_in(&self, resource: &Resource) -> Option<Self> {
        let left = map::left(resource, &self.path, &self.change)?;
        Some(Self { path: self.path.clone(), change: Cow::Owned(left) })
    }

    pub fn apply(&self, resource: &mut Resource) {
        map::apply(resource, &self.path, &self.change);
    }
}

/// The request body with these operations.
pub fn body(operations: Vec<Json>) -> Json {
    json!({ "schemas": [PATCH_SCHEMA], "Operations": operations })
}

/// The changes by path, without knowing the object: the fewest bytes, and what nobody manages is
/// not touched. `None` if a path does not say which element it means.
pub fn by_path(changes: &[Change<'_>]) -> Option<Vec<Json>> {
    let mut operations = vec![];
    for change in changes {
        match &change.change.replace {
            Some(values) => operations.push(replacement(&change.path, values)?),
            None => differences(change, &mut operations),
        }
    }
    Some(operations)
}

/// The changes as whole attributes, made from the object as it is: for servers that do not know an
/// element's path, and for elements that are not there yet. Empty if there is nothing left to do.
pub fn merged(changes: &[Change<'_>], current: &Resource) -> Vec<Json> {
    let mut after = current.clone();
    for change in changes {
        change.apply(&mut after);
    }
    let mut operations = vec![];
    let mut done: Vec<String> = vec![];
    for path in changes.iter().map(|change| &change.path) {
        let whole = path.whole();
        let old = top_level(current, path);
        let new = top_level(&after, path);
        if old == new || done.contains(&whole) {
            continue;
        }
        operations.push(match new {
            None => json!({ "op": "remove", "path": whole }),
            // An extension is never written without its path: some servers then replace all of it.
            Some(new) if path.urn.is_some() => json!({ "op": "add", "path": whole, "value": new }),
            Some(new) if new.is_object() || new.is_array() => {
                json!({ "op": "replace", "path": whole, "value": new })
            }
            Some(new) => json!({ "op": "replace", "value": { path.attribute: new } }),
        });
        done.push(whole);
    }
    operations
}

fn top_level<'a>(resource: &'a Resource, path: &Path<'_>) -> Option<&'a Json> {
    let container = match path.urn {
        None => resource,
        Some(urn) => map::member(resource, urn)?.as_object()?,
    };
    map::member(container, path.attribute)
}

/// One single-valued attribute: its new value, or its removal.
fn replacement(path: &Path<'_>, values: &[Value]) -> Option<Json> {
    let of_value = path.sub.is_none_or(|sub| sub == "value");
    // `emails.value` would address every element at once.
    if path.filter.is_none() && path.sub.is_some() && schema::is_multi_valued(path) {
        return None;
    }
    let target = match (path.element(), values) {
        // An element without its value says nothing: it goes as a whole.
        (Some(element), []) if of_value => element.to_owned(),
        (Some(element), _) if path.sub.is_none() => format!("{element}.value"),
        _ => path.text.to_owned(),
    };
    Some(match (map::whole_json(path, values), values) {
        (None, _) => json!({ "op": "remove", "path": target }),
        (Some(_), [value]) if path.filter.is_some() => {
            json!({ "op": "replace", "path": target, "value": map::to_json(path, value) })
        }
        (Some(whole), _) => json!({ "op": "replace", "path": target, "value": whole }),
    })
}

/// A multi-valued attribute: what leaves one by one, what comes in one operation.
fn differences(change: &Change<'_>, operations: &mut Vec<Json>) {
    let path = &change.path;
    for value in &change.change.remove {
        let literal = map::to_json(path, value);
        let element = format!("{}[value eq {literal}]", path.text);
        operations.push(json!({ "op": "remove", "path": element }));
    }
    if !change.change.add.is_empty() {
        let one = |value: &Value| match map::to_json(path, value) {
            plain if schema::is_multi_valued(path) => json!({ "value": plain }),
            plain => plain,
        };
        let values: Json = change.change.add.iter().map(one).collect();
        operations.push(json!({ "op": "add", "path": path.text, "value": values }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::scim::schema::ENTERPRISE_USER;

    const WORK: &str = r#"emails[type eq "work"].value"#;

    fn replace(name: &str, values: &[&str]) -> AttributeChange {
        let values = values.iter().map(|value| Value::text(*value)).collect();
        AttributeChange {
            attribute: name.into(),
            add: vec![],
            remove: vec![],
            replace: Some(values),
        }
    }

    fn read(change: &AttributeChange) -> Change<'_> {
        let path = Path::parse(change.attribute.as_str()).unwrap();
        Change { path, change: Cow::Borrowed(change) }
    }

    #[test]
    fn single_values_are_changed_by_their_path() {
        let department = format!("{ENTERPRISE_USER}:department");
        let manager = format!("{ENTERPRISE_USER}:manager");
        for (name, values, expected) in [
            ("title", &["x"][..], json!({ "op": "replace", "path": "title", "value": "x" })),
            ("title", &[], json!({ "op": "remove", "path": "title" })),
            ("active", &["False"], json!({ "op": "replace", "path": "active", "value": false })),
            (WORK, &["a@x"], json!({ "op": "replace", "path": WORK, "value": "a@x" })),
            (WORK, &[], json!({ "op": "remove", "path": r#"emails[type eq "work"]"# })),
            (&department, &["W"], json!({ "op": "replace", "path": department, "value": "W" })),
            (
                &manager,
                &["7"],
                json!({ "op": "replace", "path": manager, "value": { "value": "7" } }),
            ),
        ] {
            let change = replace(name, values);
            assert_eq!(by_path(&[read(&change)]), Some(vec![expected]), "{name}");
        }
    }

    #[test]
    fn a_path_that_names_no_element_needs_the_object() {
        assert_eq!(by_path(&[read(&replace("emails.value", &["a@x"]))]), None);
    }

    #[test]
    fn several_values_are_added_together_and_removed_one_by_one() {
        let change = AttributeChange {
            attribute: "emails".into(),
            add: vec![Value::text("a@x"), Value::text("b@x")],
            remove: vec![Value::text("c\"@x")],
            replace: None,
        };
        let expected = vec![
            json!({ "op": "remove", "path": r#"emails[value eq "c\"@x"]"# }),
            json!({
                "op": "add", "path": "emails", "value": [{ "value": "a@x" }, { "value": "b@x" }],
            }),
        ];
        assert_eq!(by_path(&[read(&change)]), Some(expected));
    }

    #[test]
    fn merged_operations_write_whole_attributes_and_only_those_that_differ() {
        let current = json!({
            "displayName": "Taro", "title": "old",
            "emails": [{ "type": "home", "value": "h@x" }],
            ENTERPRISE_USER: { "costCenter": "9" },
        });
        let department = format!("{ENTERPRISE_USER}:department");
        let changes = [
            replace("displayName", &["Taro"]),
            replace("title", &[]),
            replace("nickName", &["T"]),
            replace(WORK, &["w@x"]),
            replace(r#"emails[type eq "home"].value"#, &["i@x"]),
            replace(&department, &["Water"]),
        ];
        let changes: Vec<Change<'_>> = changes.iter().map(read).collect();
        let expected = vec![
            json!({ "op": "remove", "path": "title" }),
            json!({ "op": "replace", "value": { "nickName": "T" } }),
            json!({ "op": "replace", "path": "emails", "value": [
                { "type": "home", "value": "i@x" }, { "type": "work", "value": "w@x" },
            ] }),
            json!({ "op": "add", "path": department, "value": "Water" }),
        ];
        assert_eq!(merged(&changes, current.as_object().unwrap()), expected);
        let mut after = current.as_object().unwrap().clone();
        changes.iter().for_each(|change| change.apply(&mut after));
        assert_eq!(merged(&changes, &after), Vec::<Json>::new());
    }
}

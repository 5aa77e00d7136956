//! Attributes by path and SCIM JSON: a flat map flows in and a resource flows out, and back
//! (RFC 7643 sections 2.3 to 2.5, 3.3; delivery.md 7).
//!
//! `null`, the empty string and the empty list are all "not there": servers differ in which they
//! send.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kakehi_engine::export::AttributeChange;
use kakehi_engine::object::{AttributeMap, AttributeName, Value};
use kakehi_engine::rule::ValueType;
use serde_json::{Map, Value as Json, json};

use super::path::{ElementFilter, Path};
use super::schema::{self, ResourceType};

/// A SCIM object as JSON.
pub type Resource = Map<String, Json>;

/// An object that has no attributes yet.
pub fn blank(kind: ResourceType) -> Resource {
    let mut resource = Resource::new();
    resource.insert("schemas".into(), json!([kind.schema]));
    resource
}

/// The attributes of an object, by every path a rule may know them by: an address is found as
/// `emails`, as `emails.value` if it is the primary or first one, and as
/// `emails[type eq "work"].value` if it has a type. What the target alone decides is left out.
pub fn to_attributes(resource: &Resource) -> AttributeMap {
    let mut names = vec![];
    for (key, value) in resource.iter().filter(|(key, _)| !schema::is_not_ours(key)) {
        match value {
            Json::Object(extension) if key.contains(':') => {
                for (attribute, value) in extension {
                    collect_names(&format!("{key}:{attribute}"), value, &mut names);
                }
            }
            value => collect_names(key, value, &mut names),
        }
    }
    let mut attributes = AttributeMap::new();
    for name in names {
        // A server's own attribute names need not be paths; such an attribute is of no use to a
        // rule.
        let Ok(path) = Path::parse(&name) else { continue };
        let values = values_at(resource, &path);
        if !values.is_empty() {
            attributes.insert(AttributeName::from(name.as_str()), values);
        }
    }
    attributes
}

/// The values a resource shows at a path, in its order, none twice; empty if it shows none.
pub fn values_at(resource: &Resource, path: &Path<'_>) -> Vec<Value> {
    let container = match path.urn {
        None => Some(resource),
        Some(urn) => member(resource, urn).and_then(Json::as_object),
    };
    let Some(node) = container.and_then(|container| member(container, path.attribute)) else {
        return vec![];
    };
    let kind = schema::value_type(path);
    let mut values = vec![];
    let mut keep = |value: Option<Value>| match value {
        Some(value) if !values.contains(&value) => values.push(value),
        _ => {}
    };
    let chosen = match (&path.filter, path.sub, node) {
        (Some(filter), _, Json::Array(elements)) => {
            elements.iter().find(|element| filter.selects(element))
        }
        (Some(_), _, _) => None,
        (None, Some(_), Json::Array(elements)) => principal(elements).map(|index| &elements[index]),
        (None, None, Json::Array(elements)) => {
            for element in elements {
                keep(scalar(element.get("value").unwrap_or(element), kind));
            }
            return values;
        }
        (None, _, node) => Some(node),
    };
    keep(
        chosen
            .and_then(|chosen| match chosen {
                Json::Object(object) => member(object, path.sub.unwrap_or("value")),
                plain => path.sub.is_none_or(|sub| sub == "value").then_some(plain),
            })
            .and_then(|value| scalar(value, kind)),
    );
    values
}

/// Makes a resource show exactly these values at a path and leaves everything else as it is.
pub fn set(resource: &mut Resource, path: &Path<'_>, values: &[Value]) {
    let Some(urn) = path.urn else {
        set_in(resource, path, values);
        return;
    };
    let key = key_of(resource, urn);
    let mut extension = match resource.remove(&key) {
        Some(Json::Object(extension)) => extension,
        _ => Resource::new(),
    };
    set_in(&mut extension, path, values);
    let schemas = resource.entry("schemas").or_insert_with(|| json!([]));
    if let Json::Array(schemas) = schemas {
        schemas.retain(|schema| schema.as_str() != Some(key.as_str()));
        if !extension.is_empty() {
            schemas.push(json!(key));
        }
    }
    if !extension.is_empty() {
        resource.insert(key, Json::Object(extension));
    }
}

/// Carries one change out on a resource.
pub fn apply(resource: &mut Resource, path: &Path<'_>, change: &AttributeChange) {
    let values = match &change.replace {
        Some(values) => values.clone(),
        None => {
            let mut values = values_at(resource, path);
            values.retain(|value| !contains(path, &change.remove, value));
            for value in &change.add {
                if !contains(path, &values, value) {
                    values.push(value.clone());
                }
            }
            values
        }
    };
    set(resource, path, &values);
}

/// The part of a change that a resource does not show; `None` if it shows all of it.
pub fn left(
    resource: &Resource,
    path: &Path<'_>,
    change: &AttributeChange,
) -> Option<AttributeChange> {
    let shown = values_at(resource, path);
    let mut left = change.clone();
    left.add.retain(|value| !contains(path, &shown, value));
    left.remove.retain(|value| contains(path, &shown, value));
    let differs = change.replace.as_ref().is_some_and(|wanted| {
        wanted.iter().any(|value| !contains(path, &shown, value))
            || shown.iter().any(|value| !contains(path, wanted, value))
    });
    (differs || !left.add.is_empty() || !left.remove.is_empty()).then_some(left)
}

/// One value as JSON, in the type its attribute has.
pub fn to_json(path: &Path<'_>, value: &Value) -> Json {
    match value {
        Value::Text(text) if schema::value_type(path) == ValueType::Boolean => {
            boolean(text).map_or_else(|| json!(text), Json::Bool)
        }
        Value::Text(text) | Value::Reference(text) => json!(text),
        Value::Integer(number) => json!(number),
        Value::Boolean(truth) => json!(truth),
        Value::Binary(bytes) => json!(STANDARD.encode(bytes)),
    }
}

/// The JSON of all values of an attribute that is written as a whole; `None` for no value.
pub fn whole_json(path: &Path<'_>, values: &[Value]) -> Option<Json> {
    let reference = schema::value_type(path) == ValueType::Reference;
    let one = |value: &Value| match to_json(path, value) {
        plain if path.sub.is_none() && (reference || schema::is_multi_valued(path)) => {
            json!({ "value": plain })
        }
        plain => plain,
    };
    match values {
        [] => None,
        [value] if !schema::is_multi_valued(path) => Some(one(value)),
        values => Some(values.iter().map(one).collect()),
    }
}

/// The value of a member, whatever the case of its name (RFC 7643 section 2.1).
pub fn member<'a>(object: &'a Resource, name: &str) -> Option<&'a Json> {
    object.get(name).or_else(|| {
        object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    })
}

/// The form in which two spellings of a value are equal.
fn folded(path: &Path<'_>, value: &Value) -> String {
    match to_json(path, value) {
        Json::String(text) if schema::folds_case(path) => text.to_lowercase(),
        Json::String(text) => text,
        other => other.to_string(),
    }
}

fn contains(path: &Path<'_>, values: &[Value], wanted: &Value) -> bool {
    // Comparing the same kind of value comes first: it is the rule, and it allocates nothing.
    values.contains(wanted)
        || values.iter().any(|value| folded(path, value) == folded(path, wanted))
}

fn scalar(json: &Json, kind: ValueType) -> Option<Value> {
    match json {
        Json::Null | Json::Array(_) | Json::Object(_) => None,
        Json::String(text) if text.is_empty() => None,
        Json::String(text) => Some(match kind {
            ValueType::Reference => Value::Reference(text.clone()),
            ValueType::Boolean => boolean(text).map_or_else(|| Value::text(text), Value::Boolean),
            _ => Value::text(text),
        }),
        Json::Bool(truth) => Some(Value::Boolean(*truth)),
        Json::Number(number) => Some(match number.as_i64() {
            Some(number) if kind != ValueType::Reference => Value::Integer(number),
            _ if kind == ValueType::Reference => Value::Reference(number.to_string()),
            _ => Value::text(number.to_string()),
        }),
    }
}

/// Some servers keep booleans as text (delivery.md 16).
fn boolean(text: &str) -> Option<bool> {
    [("true", true), ("false", false)]
        .into_iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text))
        .map(|(_, truth)| truth)
}

/// The element that stands for the attribute: the primary one, else the first.
fn principal(elements: &[Json]) -> Option<usize> {
    let primary = elements.iter().position(|element| element["primary"] == json!(true));
    primary.or((!elements.is_empty()).then_some(0))
}

fn collect_names(name: &str, value: &Json, names: &mut Vec<String>) {
    names.push(name.to_owned());
    match value {
        Json::Array(elements) if elements.iter().any(Json::is_object) && name != "members" => {
            for element in elements.iter().filter_map(Json::as_object) {
                for sub in element.keys().filter(|sub| is_data(sub)) {
                    names.push(format!("{name}.{sub}"));
                    if let Some(Json::String(kind)) = member(element, "type") {
                        names.push(format!("{name}[type eq {}].{sub}", json!(kind)));
                    }
                }
            }
        }
        Json::Object(object) => {
            let subs = object.keys().filter(|sub| is_data(sub) && *sub != "value");
            names.extend(subs.map(|sub| format!("{name}.{sub}")));
        }
        _ => {}
    }
}

/// `type` names an element instead of being a part of it; `$ref` is the server's address (DV-04).
fn is_data(sub: &str) -> bool {
    !matches!(sub, "type" | "$ref")
}

/// The spelling of a name that an object already uses, else the given one.
fn key_of(object: &Resource, name: &str) -> String {
    let known = object.keys().find(|key| key.eq_ignore_ascii_case(name));
    known.cloned().unwrap_or_else(|| name.to_owned())
}

fn set_in(container: &mut Resource, path: &Path<'_>, values: &[Value]) {
    let key = key_of(container, path.attribute);
    let old = container.remove(&key);
    let new = match (&path.filter, path.sub) {
        (None, None) => whole(path, old, values),
        (None, Some(sub)) if !schema::is_multi_valued(path) => {
            let mut object = match old {
                Some(Json::Object(object)) => object,
                _ => Resource::new(),
            };
            set_sub(&mut object, sub, path, values);
            (!object.is_empty()).then_some(Json::Object(object))
        }
        (filter, sub) => {
            let mut elements = match old {
                Some(Json::Array(elements)) => elements,
                _ => vec![],
            };
            set_element(&mut elements, filter.as_ref(), sub.unwrap_or("value"), path, values);
            (!elements.is_empty()).then_some(Json::Array(elements))
        }
    };
    if let Some(new) = new {
        container.insert(key, new);
    }
}

/// The attribute as a whole. Elements whose value stays keep what else they say: type, display
/// name.
fn whole(path: &Path<'_>, old: Option<Json>, values: &[Value]) -> Option<Json> {
    let (Some(Json::Array(old)), Some(Json::Array(new))) = (&old, whole_json(path, values)) else {
        return whole_json(path, values);
    };
    let kept = |element: &Json| old.iter().find(|known| known["value"] == element["value"]);
    Some(new.iter().map(|element| kept(element).unwrap_or(element).clone()).collect())
}

fn set_sub(object: &mut Resource, sub: &str, path: &Path<'_>, values: &[Value]) {
    let key = key_of(object, sub);
    match values.first() {
        Some(value) => object.insert(key, to_json(path, value)),
        None => object.remove(&key),
    };
}

fn set_element(
    elements: &mut Vec<Json>,
    filter: Option<&ElementFilter<'_>>,
    sub: &str,
    path: &Path<'_>,
    values: &[Value],
) {
    let position = match filter {
        Some(filter) => elements.iter().position(|element| filter.selects(element)),
        None => principal(elements),
    };
    match (position, values) {
        // An element without its value says nothing.
        (Some(index), []) if sub == "value" => drop(elements.remove(index)),
        (None, []) => {}
        (Some(index), values) => {
            if let Json::Object(element) = &mut elements[index] {
                set_sub(element, sub, path, values);
            }
        }
        (None, values) => {
            let mut element = Resource::new();
            if let Some(filter) = filter {
                element.insert(filter.key.to_owned(), filter.literal.clone());
            }
            set_sub(&mut element, sub, path, values);
            elements.push(Json::Object(element));
        }
    }
}

impl ElementFilter<'_> {
    /// Whether an element of a multi-valued attribute is the one meant.
    fn selects(&self, element: &Json) -> bool {
        match (element.as_object().and_then(|object| member(object, self.key)), &self.literal) {
            (Some(Json::String(found)), Json::String(wanted)) => found.eq_ignore_ascii_case(wanted),
            (found, wanted) => found == Some(wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::scim::schema::{ENTERPRISE_USER, USER};

    const WORK: &str = r#"emails[type eq "work"].value"#;

    fn object(json: Json) -> Resource {
        json.as_object().cloned().unwrap()
    }

    fn texts(values: &[&str]) -> Vec<Value> {
        values.iter().map(|value| Value::text(*value)).collect()
    }

    fn values(resource: &Json, path: &str) -> Vec<Value> {
        values_at(&object(resource.clone()), &Path::parse(path).unwrap())
    }

    #[test]
    fn attributes_become_a_resource() {
        let manager = format!("{ENTERPRISE_USER}:manager");
        let department = format!("{ENTERPRISE_USER}:department");
        let attributes: AttributeMap = [
            ("active", vec![Value::Boolean(true)]),
            (WORK, texts(&["taro@example.jp"])),
            (r#"emails[type eq "home"].value"#, texts(&["taro@home.example"])),
            ("name.familyName", texts(&["筧"])),
            ("phoneNumbers.value", texts(&["+81 3"])),
            ("userName", texts(&["taro"])),
            (department.as_str(), texts(&["Water"])),
            (manager.as_str(), vec![Value::Reference("7".into())]),
        ]
        .map(|(name, values)| (name.into(), values))
        .into();
        let mut resource = blank(USER);
        for (name, values) in &attributes {
            set(&mut resource, &Path::parse(name.as_str()).unwrap(), values);
        }
        let expected = json!({
            "schemas": [USER.schema, ENTERPRISE_USER],
            "active": true,
            "emails": [
                { "type": "home", "value": "taro@home.example" },
                { "type": "work", "value": "taro@example.jp" },
            ],
            "name": { "familyName": "筧" },
            "phoneNumbers": [{ "value": "+81 3" }],
            "userName": "taro",
            ENTERPRISE_USER: { "department": "Water", "manager": { "value": "7" } },
        });
        assert_eq!(Json::Object(resource.clone()), expected);
        let back = to_attributes(&resource);
        for (name, values) in &attributes {
            assert_eq!(back.get(name), Some(values), "{name}");
        }
    }

    #[test]
    fn a_resource_becomes_attributes_without_what_the_target_decides() {
        let attributes = to_attributes(&object(json!({
            "schemas": ["x"], "id": "1", "meta": { "location": "y" }, "groups": [{ "value": "2" }],
            "password": "secret", "nickName": null, "title": "", "roles": [],
            "active": "False",
            "emails": [{ "value": "a@x" }, { "value": "b@x", "primary": true, "type": "work" }],
            "members": [{ "value": "3", "$ref": "z", "display": "c" }, { "value": "3" }],
        })));
        let expected: AttributeMap = [
            ("active", vec![Value::Boolean(false)]),
            ("emails", texts(&["a@x", "b@x"])),
            ("emails.primary", vec![Value::Boolean(true)]),
            ("emails.value", texts(&["b@x"])),
            (r#"emails[type eq "work"].primary"#, vec![Value::Boolean(true)]),
            (WORK, texts(&["b@x"])),
            ("members", vec![Value::Reference("3".into())]),
        ]
        .map(|(name, values)| (name.into(), values))
        .into();
        assert_eq!(attributes, expected);
    }

    #[test]
    fn values_are_found_whatever_the_case_of_names_and_types() {
        let resource = json!({
            "USERNAME": "taro",
            "emails": [{ "Type": "WORK", "Value": "a@x" }],
            "urn:X:Y": { "level": 3 },
        });
        for (path, expected) in [
            ("userName", texts(&["taro"])),
            (WORK, texts(&["a@x"])),
            ("urn:x:y:level", vec![Value::Integer(3)]),
            ("name.familyName", vec![]),
            (r#"emails[type eq "home"].value"#, vec![]),
        ] {
            assert_eq!(values(&resource, path), expected, "{path}");
        }
    }

    #[test]
    fn setting_keeps_what_nobody_manages() {
        let before = json!({
            "emails": [{ "type": "work", "value": "a@x", "display": "A" }, { "value": "b@x" }],
            "name": { "givenName": "Taro" },
        });
        for (path, new, expected) in [
            (
                WORK,
                &["c@x"][..],
                json!([{ "type": "work", "value": "c@x", "display": "A" }, { "value": "b@x" }]),
            ),
            (WORK, &[], json!([{ "value": "b@x" }])),
            (
                "emails",
                &["b@x", "a@x"],
                json!([{ "value": "b@x" }, { "type": "work", "value": "a@x", "display": "A" }]),
            ),
            ("name.familyName", &["Kakehi"], before["emails"].clone()),
        ] {
            let mut resource = object(before.clone());
            set(&mut resource, &Path::parse(path).unwrap(), &texts(new));
            assert_eq!(resource["emails"], expected, "{path} {new:?}");
            assert_eq!(resource["name"]["givenName"], "Taro");
        }
    }

    #[test]
    fn an_extension_comes_and_goes_with_its_schema() {
        let path = format!("{ENTERPRISE_USER}:department");
        let path = Path::parse(&path).unwrap();
        let before = object(json!({ "schemas": [USER.schema] }));
        let mut resource = before.clone();
        set(&mut resource, &path, &texts(&["Water"]));
        assert_eq!(resource["schemas"], json!([USER.schema, ENTERPRISE_USER]));
        set(&mut resource, &path, &[]);
        assert_eq!(resource, before);
    }

    #[test]
    fn what_is_left_of_a_change_follows_the_canonical_form() {
        let resource = object(json!({
            "userName": "TARO", "displayName": "Taro", "active": "true",
            "members": [{ "value": "1" }, { "value": "2" }],
        }));
        let replace = |name: &str, values| AttributeChange {
            attribute: name.into(),
            add: vec![],
            remove: vec![],
            replace: Some(values),
        };
        for (change, shown) in [
            (replace("userName", texts(&["taro"])), true),
            (replace("displayName", texts(&["taro"])), false),
            (replace("active", vec![Value::Boolean(true)]), true),
            (replace("title", vec![]), true),
            (replace("title", texts(&["x"])), false),
        ] {
            let path = Path::parse(change.attribute.as_str()).unwrap();
            assert_eq!(left(&resource, &path, &change).is_none(), shown, "{change:?}");
        }
        let reference = |id: &str| Value::Reference(id.into());
        let members = AttributeChange {
            attribute: "members".into(),
            add: vec![reference("1"), reference("3")],
            remove: vec![reference("2"), reference("4")],
            replace: None,
        };
        let left = left(&resource, &Path::parse("members").unwrap(), &members).unwrap();
        assert_eq!((left.add, left.remove), (vec![reference("3")], vec![reference("2")]));
    }
}

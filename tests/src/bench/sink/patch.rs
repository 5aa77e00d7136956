//! PATCH as far as a benchmark sends it (RFC 7644 3.5.2). In: a resource and a request. Out: the
//! changed resource. Filters are `attribute eq "value"`.

use bytes::Bytes;
use serde_json::{Map, Value};

/// Applies a request; `None` if resource or request is not what the standard describes.
pub fn apply(resource: &Bytes, request: &Bytes) -> Option<Bytes> {
    let mut resource: Map<String, Value> = serde_json::from_slice(resource).ok()?;
    let request: Value = serde_json::from_slice(request).ok()?;
    for operation in request.get("Operations")?.as_array()? {
        let verb = operation.get("op")?.as_str()?.to_ascii_lowercase();
        let value = operation.get("value").cloned().unwrap_or_default();
        match operation.get("path").and_then(Value::as_str) {
            Some(path) => change(&mut resource, &Path::read(path)?, &verb, value),
            None => resource.extend(value.as_object()?.clone()),
        }
    }
    Some(serde_json::to_vec(&resource).ok()?.into())
}

/// `urn:...:User:attribute[filter eq "value"].sub`, all but the attribute optional.
struct Path<'a> {
    extension: Option<&'a str>,
    attribute: &'a str,
    filter: Option<(&'a str, Value)>,
    sub: Option<&'a str>,
}

impl<'a> Path<'a> {
    fn read(path: &'a str) -> Option<Path<'a>> {
        let (before, filter, after) = match path.split_once('[') {
            Some((before, rest)) => {
                let (filter, after) = rest.rsplit_once(']')?;
                let (name, value) = filter.split_once(" eq ")?;
                (before, Some((name, serde_json::from_str(value).ok()?)), after)
            }
            None => (path, None, ""),
        };
        let (extension, name) = match before.rsplit_once(':') {
            Some((extension, name)) => (Some(extension), name),
            None => (None, before),
        };
        let (attribute, sub) = match name.split_once('.') {
            Some((attribute, sub)) => (attribute, Some(sub)),
            None => (name, after.strip_prefix('.')),
        };
        Some(Path { extension, attribute, filter, sub })
    }
}

fn change(resource: &mut Map<String, Value>, path: &Path<'_>, verb: &str, value: Value) {
    let holder = match path.extension {
        Some(extension) => object(resource.entry(extension).or_insert(Value::Null)),
        None => resource,
    };
    let removes = verb == "remove";
    match (&path.filter, path.sub) {
        (Some((name, wanted)), sub) => {
            let list = array(holder.entry(path.attribute).or_insert(Value::Null));
            change_matching(list, (name, wanted), sub, removes, value);
        }
        (None, Some(sub)) => {
            set(object(holder.entry(path.attribute).or_insert(Value::Null)), sub, removes, value);
        }
        (None, None) => match (verb, holder.get_mut(path.attribute), value) {
            ("add", Some(Value::Array(list)), Value::Array(more)) => {
                let new: Vec<Value> = more.into_iter().filter(|one| !list.contains(one)).collect();
                list.extend(new);
            }
            (_, _, value) => set(holder, path.attribute, removes, value),
        },
    }
}

/// Changes the elements that match; where none does, adding makes one.
fn change_matching(
    list: &mut Vec<Value>,
    (name, wanted): (&str, &Value),
    sub: Option<&str>,
    removes: bool,
    value: Value,
) {
    let matches = |element: &Value| element.get(name) == Some(wanted);
    let Some(sub) = sub else {
        list.retain(|element| !matches(element));
        if !removes {
            list.push(value);
        }
        return;
    };
    if !removes && !list.iter().any(matches) {
        list.push(Value::Object(Map::from_iter([(name.to_owned(), wanted.clone())])));
    }
    for element in list.iter_mut().filter(|element| matches(element)) {
        set(object(element), sub, removes, value.clone());
    }
}

fn set(holder: &mut Map<String, Value>, name: &str, removes: bool, value: Value) {
    if removes {
        holder.remove(name);
    } else {
        holder.insert(name.to_owned(), value);
    }
}

/// The value as an object, which it becomes if it was none.
fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was just made an object")
}

/// The value as an array, which it becomes if it was none.
fn array(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    value.as_array_mut().expect("it was just made an array")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(operation: Value, want: Value) {
        let before = json!({
            "title": "a",
            "name": {"familyName": "b"},
            "members": [{"value": "1"}, {"value": "2"}],
            "emails": [{"type": "work", "value": "x@example.com"}],
        });
        let request = json!({"Operations": [operation]});
        let after = apply(&before.to_string().into(), &request.to_string().into()).unwrap();
        let after: Value = serde_json::from_slice(&after).unwrap();
        for (name, value) in want.as_object().unwrap() {
            assert_eq!(after.get(name).unwrap_or(&Value::Null), value, "{request}");
        }
    }

    #[test]
    fn each_form_of_a_path_changes_what_it_names() {
        const URN: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let op = |op, path: &str, value| json!({"op": op, "path": path, "value": value});
        check(op("replace", "title", json!("z")), json!({"title": "z"}));
        check(json!({"op": "Remove", "path": "title"}), json!({"title": null}));
        check(op("replace", "name.familyName", json!("z")), json!({"name": {"familyName": "z"}}));
        check(
            op("add", "members", json!([{"value": "2"}, {"value": "3"}])),
            json!({"members": [{"value": "1"}, {"value": "2"}, {"value": "3"}]}),
        );
        check(
            json!({"op": "remove", "path": "members[value eq \"1\"]"}),
            json!({"members": [{"value": "2"}]}),
        );
        check(
            op("replace", "emails[type eq \"work\"].value", json!("y@example.com")),
            json!({"emails": [{"type": "work", "value": "y@example.com"}]}),
        );
        check(
            op("add", &format!("{URN}:department"), json!("d")),
            json!({URN: {"department": "d"}}),
        );
        check(json!({"op": "add", "value": {"title": "z"}}), json!({"title": "z"}));
    }
}

//! Reading an [`Entry`]. Names are compared exactly; an attribute without values is absent.

use std::borrow::Cow;

use crate::{Attribute, Entry, Parameter, Value, Values};

impl Entry {
    /// An object of this type that has nothing yet: for tests of rules.
    pub fn of_class(class: &str) -> Self {
        Self { class: class.into(), attributes: vec![], imported: vec![], parameters: vec![] }
    }

    /// The same entry with one more attribute; no values leave it absent.
    #[must_use]
    pub fn with(mut self, name: &str, values: impl Into<Values>) -> Self {
        add(&mut self.attributes, name, values.into());
        self
    }

    /// The same entry with one more attribute that the connected system confirmed.
    #[must_use]
    pub fn with_confirmed(mut self, name: &str, values: impl Into<Values>) -> Self {
        add(&mut self.imported, name, values.into());
        self
    }

    /// The same entry with one more parameter.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: &str) -> Self {
        self.parameters.push(Parameter { name: name.into(), value: value.into() });
        self
    }

    /// All values of an attribute that `reads` names, in stored order; empty if it is absent.
    pub fn values(&self, name: &str) -> &[Value] {
        find(&self.attributes, name)
    }

    /// All values of an attribute that `reads-imported` names: what the connected system confirmed.
    pub fn confirmed(&self, name: &str) -> &[Value] {
        find(&self.imported, name)
    }

    /// The first value of an attribute.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values(name).first()
    }

    /// The first value as text; `None` if it is absent or binary.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name)?.as_text()
    }

    /// The first value as a whole number. Directories without a schema show numbers as text, so
    /// text in decimal counts too.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Integer(number) => Some(*number),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The first value as a truth value: a Boolean, or `true` and `false` in any case.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Boolean(flag) => Some(*flag),
            Value::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// The first value as bytes; `None` if it is absent or not binary.
    pub fn binary(&self, name: &str) -> Option<&[u8]> {
        match self.get(name)? {
            Value::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The references of an attribute: DNs inbound, metaverse ids outbound.
    pub fn refs(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values(name).iter().filter_map(|value| match value {
            Value::Reference(target) => Some(target.as_str()),
            _ => None,
        })
    }

    /// A parameter that the contract names.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|parameter| parameter.name == name)
            .map(|parameter| parameter.value.as_str())
    }
}

impl Value {
    /// The value as a person would write it; `None` for binary.
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) | Self::Reference(text) => Some(text.into()),
            Self::Integer(number) => Some(number.to_string().into()),
            Self::Boolean(true) => Some("True".into()),
            Self::Boolean(false) => Some("False".into()),
            Self::Binary(_) => None,
        }
    }
}

fn add(attributes: &mut Vec<Attribute>, name: &str, Values(values): Values) {
    if !values.is_empty() {
        attributes.push(Attribute { name: name.into(), values });
    }
}

fn find<'a>(attributes: &'a [Attribute], name: &str) -> &'a [Value] {
    attributes
        .iter()
        .find(|attribute| attribute.name == name)
        .map_or(&[], |attribute| &attribute.values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry::of_class("user")
            .with("uid", "0512")
            .with("uidNumber", -9_000_000_000)
            .with("locked", "TRUE")
            .with("photo", vec![0xff, 0xd8])
            .with("manager", Value::Reference("CN=Hanako".into()))
            .with("empty", Vec::<Value>::new())
            .with_confirmed("nickName", "taro")
            .with_param("Domain.FQDN", "corp.example")
    }

    #[test]
    fn numbers_and_numeric_text_are_read_alike() {
        let entry = entry();
        assert_eq!(entry.int("uid"), Some(512));
        assert_eq!(entry.int("uidNumber"), Some(-9_000_000_000));
        assert_eq!(entry.text("uidNumber").as_deref(), Some("-9000000000"));
        assert_eq!(entry.int("manager"), None);
    }

    #[test]
    fn every_kind_has_its_reader() {
        let entry = entry();
        assert_eq!(entry.flag("locked"), Some(true));
        assert_eq!(entry.binary("photo"), Some(&[0xff, 0xd8][..]));
        assert_eq!(entry.text("photo"), None);
        assert_eq!(entry.refs("manager").collect::<Vec<_>>(), ["CN=Hanako"]);
        assert_eq!(entry.confirmed("nickName"), [Value::from("taro")]);
        assert_eq!(entry.param("Domain.FQDN"), Some("corp.example"));
    }

    #[test]
    fn what_is_absent_or_spelled_otherwise_is_none() {
        let entry = entry();
        assert_eq!(entry.text("UID"), None);
        assert_eq!(entry.get("empty"), None);
        assert_eq!(entry.values("nickName"), []);
        assert_eq!(entry.param("domain.fqdn"), None);
    }
}

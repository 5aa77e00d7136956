//! Does a rule apply to an object? Groups are alternatives; inside a group every clause must hold
//! (R14).

use crate::object::{AttributeMap, AttributeName, Value, dn_key};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    LessThan,
    LessThanOrEqual,
    GreaterThan,
    GreaterThanOrEqual,
    Contains,
    NotContains,
    StartsWith,
    NotStartsWith,
    EndsWith,
    NotEndsWith,
    IsNull,
    IsNotNull,
    IsIn,
    IsNotIn,
    /// The value is a mask: all of its bits are set.
    IsBitSet,
    IsBitNotSet,
    /// The value is the DN of a group of the same connector: the object is one of its direct
    /// members. Not a matter of the object's own attributes: see [`MEMBERSHIPS`].
    IsMemberOf,
    IsNotMemberOf,
}

/// Under this name, which no directory uses, an object carries the keys of those groups that it is
/// a direct member of and that some scope asks for. No rule can read it.
pub const MEMBERSHIPS: &str = "(member of)";

/// Attributes in which groups of the usual directories hold their members.
pub const MEMBER_ATTRIBUTES: [&str; 2] = ["member", "uniqueMember"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    pub attribute: AttributeName,
    pub operator: Operator,
    /// As written in the manifest, parameters already filled in. Empty where the operator takes
    /// none.
    pub value: String,
    pub case_sensitive: bool,
}

/// Empty: every object of the type (R16).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    pub groups: Vec<Vec<Clause>>,
}

// === impl Scope ===

impl Scope {
    /// Attributes of the object that are looked at.
    pub fn attributes(&self) -> impl Iterator<Item = &AttributeName> {
        let own = |clause: &&Clause| !clause.asks_for_members();
        self.groups.iter().flatten().filter(own).map(|clause| &clause.attribute)
    }

    /// DNs of the groups whose members are meant or not meant.
    pub fn member_groups(&self) -> impl Iterator<Item = &str> {
        let members = |clause: &&Clause| clause.asks_for_members();
        self.groups.iter().flatten().filter(members).map(|clause| clause.value.as_str())
    }

    pub fn holds(&self, attributes: &AttributeMap) -> bool {
        self.groups.is_empty()
            || self.groups.iter().any(|group| group.iter().all(|clause| clause.holds(attributes)))
    }
}

// === impl Clause ===

impl Clause {
    /// Source: provisioning.md 5. An absent attribute makes every negative operator true and every
    /// positive one false; a multi-valued attribute satisfies a positive one by any of its values.
    pub fn holds(&self, attributes: &AttributeMap) -> bool {
        let name = if self.asks_for_members() { MEMBERSHIPS } else { self.attribute.as_str() };
        let values = attributes.get(name).map_or(&[][..], Vec::as_slice);
        let any = |test: &dyn Fn(&Value) -> bool| values.iter().any(test);
        match self.operator {
            Operator::Equal | Operator::IsIn => any(&|value| self.equals(value)),
            Operator::NotEqual | Operator::IsNotIn => !any(&|value| self.equals(value)),
            Operator::LessThan => any(&|value| self.order(value).is_some_and(|o| o.is_lt())),
            Operator::LessThanOrEqual => any(&|value| self.order(value).is_some_and(|o| o.is_le())),
            Operator::GreaterThan => any(&|value| self.order(value).is_some_and(|o| o.is_gt())),
            Operator::GreaterThanOrEqual => {
                any(&|value| self.order(value).is_some_and(|o| o.is_ge()))
            }
            Operator::Contains => any(&|value| self.text(value, |v, w| v.contains(w))),
            Operator::NotContains => !any(&|value| self.text(value, |v, w| v.contains(w))),
            Operator::StartsWith => any(&|value| self.text(value, |v, w| v.starts_with(w))),
            Operator::NotStartsWith => !any(&|value| self.text(value, |v, w| v.starts_with(w))),
            Operator::EndsWith => any(&|value| self.text(value, |v, w| v.ends_with(w))),
            Operator::NotEndsWith => !any(&|value| self.text(value, |v, w| v.ends_with(w))),
            Operator::IsNull => !any(&not_empty),
            Operator::IsNotNull => any(&not_empty),
            Operator::IsBitSet => any(&|value| self.bits(value)),
            Operator::IsBitNotSet => !any(&|value| self.bits(value)),
            Operator::IsMemberOf => any(&|value| self.is_group(value)),
            Operator::IsNotMemberOf => !any(&|value| self.is_group(value)),
        }
    }

    pub fn asks_for_members(&self) -> bool {
        matches!(self.operator, Operator::IsMemberOf | Operator::IsNotMemberOf)
    }

    fn is_group(&self, value: &Value) -> bool {
        matches!(value, Value::Text(key) if *key == dn_key(&self.value))
    }

    fn equals(&self, value: &Value) -> bool {
        match value {
            Value::Boolean(flag) => boolean(&self.value) == Some(*flag),
            Value::Integer(number) => integer(&self.value) == Some(*number),
            _ => self.text(value, |v, w| v == w),
        }
    }

    /// Numbers as numbers, also where a directory's large integer came as text; else as text (C5).
    fn order(&self, value: &Value) -> Option<std::cmp::Ordering> {
        let text = value.as_text()?;
        match (integer(&text), integer(&self.value)) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => Some(self.folded(&text).cmp(&self.folded(&self.value))),
        }
    }

    fn text(&self, value: &Value, test: impl Fn(&str, &str) -> bool) -> bool {
        value.as_text().is_some_and(|text| test(&self.folded(&text), &self.folded(&self.value)))
    }

    fn bits(&self, value: &Value) -> bool {
        let (Some(text), Some(mask)) = (value.as_text(), integer(&self.value)) else {
            return false;
        };
        integer(&text).is_some_and(|number| number & mask == mask)
    }

    fn folded(&self, text: &str) -> String {
        if self.case_sensitive { text.to_owned() } else { text.to_lowercase() }
    }
}

fn not_empty(value: &Value) -> bool {
    !matches!(value, Value::Text(text) if text.is_empty())
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(operator: Operator, value: &str, attribute: &[Value], expected: bool) {
        let mut attributes = AttributeMap::new();
        if !attribute.is_empty() {
            attributes.insert("a".into(), attribute.to_vec());
        }
        let (value, case_sensitive) = (value.to_owned(), false);
        let clause = Clause { attribute: "a".into(), operator, value, case_sensitive };
        assert_eq!(clause.holds(&attributes), expected, "{operator:?} on {attribute:?}");
    }

    #[test]
    fn r13_the_disabled_bit_decides_account_enabled() {
        for (number, enabled) in [(512, true), (66048, true), (514, false), (66050, false)] {
            check(Operator::IsBitNotSet, "2", &[Value::Integer(number)], enabled);
            check(Operator::IsBitNotSet, "2", &[Value::text(number.to_string())], enabled);
        }
    }

    #[test]
    fn absent_attributes_satisfy_every_negation_and_nothing_else() {
        use Operator::*;
        for operator in [
            NotEqual,
            NotContains,
            NotStartsWith,
            NotEndsWith,
            IsNotIn,
            IsBitNotSet,
            IsNull,
            IsNotMemberOf,
        ] {
            check(operator, "1", &[], true);
        }
        for operator in [
            Equal,
            Contains,
            StartsWith,
            EndsWith,
            IsIn,
            IsBitSet,
            IsMemberOf,
            IsNotNull,
            LessThan,
            LessThanOrEqual,
            GreaterThan,
            GreaterThanOrEqual,
        ] {
            check(operator, "1", &[], false);
        }
    }

    /// The groups of a scope as `name=value` clauses; an object with these attributes.
    fn holds(groups: &[&[&str]], attributes: &[&str]) -> bool {
        let clause = |text: &&str| {
            let (attribute, value) = text.split_once('=').unwrap();
            Clause {
                attribute: attribute.into(),
                operator: Operator::Equal,
                value: value.into(),
                case_sensitive: false,
            }
        };
        let groups = groups.iter().map(|group| group.iter().map(clause).collect()).collect();
        Scope { groups }.holds(&crate::testing::attributes(attributes))
    }

    #[test]
    fn r12_r14_r15_every_clause_of_one_group_must_hold_and_one_group_is_enough() {
        let groups: [&[&str]; 2] = [&["dept=IT", "site=Tokyo"], &["title=boss"]];
        assert!(holds(&groups, &["dept=it", "site=tokyo"]));
        assert!(holds(&groups, &["dept=HR", "title=boss"]));
        assert!(!holds(&groups, &["dept=IT"]));
        assert!(!holds(&groups, &["dept=IT", "site=Osaka"]));
    }

    #[test]
    fn r16_an_empty_filter_means_every_object_of_the_type() {
        assert!(holds(&[], &[]) && holds(&[], &["dept=IT"]));
    }

    #[test]
    fn c5_values_are_compared_by_their_type() {
        use Operator::*;
        check(Equal, "TRUE", &[Value::Boolean(true)], true);
        check(NotEqual, "true", &[Value::Boolean(false)], true);
        check(Equal, "TARO", &[Value::text("taro")], true);
        check(LessThan, "50000", &[Value::Integer(9)], true);
        check(LessThan, "50000", &[Value::text("9")], true);
        check(IsIn, "b", &[Value::text("a"), Value::text("B")], true);
        check(IsNull, "", &[Value::text("")], true);
        check(IsBitSet, "6", &[Value::Integer(4)], false);
    }
}

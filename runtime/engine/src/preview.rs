//! What the engine tests, told one by one: scope clauses with what an object holds, join groups
//! with what they find. Nothing is decided here; whoever shows a decision shows with it what it was
//! made of.

use std::collections::BTreeSet;

use crate::connector_space::{CsId, CsObject, MvId};
use crate::join::{self, LinkRule, Match};
use crate::metaverse::MvObject;
use crate::object::{AttributeMap, Value};
use crate::rule::{JoinClause, JoinGroup, Rule, RuleId, RuleSet};
use crate::scope::{Clause, MEMBERSHIPS, Operator, Scope};
use crate::view::{IndexKey, View};

/// A scope clause before an object.
#[derive(Clone, Debug, PartialEq)]
pub struct ClauseTest {
    pub clause: Clause,
    /// What the object holds; empty: the attribute is absent. Of a membership: the keys of those
    /// groups that it is a member of and that some scope asks for.
    pub actual: Vec<Value>,
    pub holds: bool,
}

/// A scope before an object: groups are alternatives, all clauses of a group must hold (R14).
#[derive(Clone, Debug, PartialEq)]
pub struct ScopeTest {
    pub holds: bool,
    /// Empty: every object of the type is in scope (R16).
    pub groups: Vec<Vec<ClauseTest>>,
}

/// A join clause before an object.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinTest<Id> {
    pub clause: JoinClause,
    /// The values on the side that looks.
    pub values: Vec<Value>,
    /// Who has one of them, by id.
    pub found: Vec<Id>,
}

/// A join group before an object.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupTest<Id> {
    pub clauses: Vec<JoinTest<Id>>,
    /// Whom all clauses found.
    pub found: Vec<Id>,
}

/// What the join groups of a rule find for an object that is not linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    One(MvId),
    /// `present`: some join attribute has a value, so that a Provision rule creates (11.2 step 5).
    None {
        present: bool,
    },
    Several(Vec<MvId>),
}

/// Which of the rules in scope decides about the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linking {
    None,
    One(RuleId),
    /// Their criteria differ (R23, C3).
    Conflict(Vec<RuleId>),
}

/// Tests every clause of a scope, also behind one that fails.
pub fn scope(scope: &Scope, attributes: &AttributeMap) -> ScopeTest {
    let name = |clause: &Clause| match clause.asks_for_members() {
        true => MEMBERSHIPS.into(),
        false => clause.attribute.clone(),
    };
    let test = |clause: &Clause| ClauseTest {
        actual: attributes.get(&name(clause)).cloned().unwrap_or_default(),
        holds: clause.holds(attributes),
        clause: clause.clone(),
    };
    let groups = scope.groups.iter().map(|group| group.iter().map(test).collect()).collect();
    ScopeTest { holds: scope.holds(attributes), groups }
}

/// Whether a rule can be the reason of a link.
pub fn can_link(rule: &Rule) -> bool {
    join::can_link(rule)
}

/// Takes rules in scope, in order of precedence.
pub fn linking(in_scope: &[RuleId], rules: &RuleSet) -> Linking {
    match join::link_rule(in_scope, rules) {
        LinkRule::None => Linking::None,
        LinkRule::One(id) => Linking::One(id),
        LinkRule::Conflict(ids) => Linking::Conflict(ids),
    }
}

/// The attributes of a source object as inbound rules see them: `dn` is one of them.
pub fn seen_inbound(object: &CsObject) -> AttributeMap {
    let mut attributes = object.attributes.clone();
    if !object.dn.is_empty() {
        attributes.insert("dn".into(), vec![Value::text(object.dn.clone())]);
    }
    attributes
}

/// The attributes of a metaverse object as outbound rules see them: references as metaverse ids,
/// those that lead nowhere left out.
pub fn seen_outbound(view: &dyn View, object: &MvObject) -> AttributeMap {
    crate::outbound::resolved(view, std::slice::from_ref(object)).pop().unwrap_or_default()
}

/// Tests the join groups of an inbound rule, each for itself, in their order.
pub fn join_inbound(
    view: &dyn View,
    rule: &Rule,
    attributes: &AttributeMap,
) -> Vec<GroupTest<MvId>> {
    let test = |clause: &JoinClause| {
        let values = attributes.get(&clause.cs).cloned().unwrap_or_default();
        let keys = values
            .iter()
            .filter_map(|value| IndexKey::new(&clause.mv, clause.case_sensitive, value));
        let found: BTreeSet<MvId> = keys.flat_map(|key| candidates(view, &key, rule)).collect();
        JoinTest { clause: clause.clone(), values, found: found.into_iter().collect() }
    };
    rule.join.iter().map(|group| group_test(group, test)).collect()
}

/// Tests the join groups of an outbound rule: whom they find among the target objects that nobody
/// is linked to.
pub fn join_outbound(
    view: &dyn View,
    rule: &Rule,
    attributes: &AttributeMap,
) -> Vec<GroupTest<CsId>> {
    let test = |clause: &JoinClause| {
        let values = attributes.get(&clause.mv).cloned().unwrap_or_default();
        let keys = values
            .iter()
            .filter_map(|value| IndexKey::new(&clause.cs, clause.case_sensitive, value));
        let found: BTreeSet<CsId> =
            keys.flat_map(|key| view.unlinked_targets(&rule.connector, &key)).collect();
        JoinTest { clause: clause.clone(), values, found: found.into_iter().collect() }
    };
    rule.join.iter().map(|group| group_test(group, test)).collect()
}

/// What an unlinked object with these attributes would be joined to by a rule.
pub fn find(view: &dyn View, rule: &Rule, attributes: &AttributeMap) -> Found {
    let candidates = |key: &IndexKey| candidates(view, key, rule);
    match join::find(&rule.join, attributes, candidates) {
        Match::One(mv) => Found::One(mv),
        Match::None { present } => Found::None { present },
        Match::Several(mvs) => Found::Several(mvs),
    }
}

/// Whether some join group holds between two objects, and each group with the values of both sides.
pub fn criteria(
    groups: &[JoinGroup],
    cs: &AttributeMap,
    mv: &AttributeMap,
) -> (bool, Vec<Vec<PairTest>>) {
    let test = |clause: &JoinClause| {
        let side = |attributes: &AttributeMap, name| attributes.get(name).cloned();
        let left: Vec<Value> = side(cs, &clause.cs).unwrap_or_default();
        let right: Vec<Value> = side(mv, &clause.mv).unwrap_or_default();
        let keys = |values: &[Value]| -> BTreeSet<IndexKey> {
            let key = |value| IndexKey::new(&clause.mv, clause.case_sensitive, value);
            values.iter().filter_map(key).collect()
        };
        let holds = !keys(&left).is_disjoint(&keys(&right));
        PairTest { clause: clause.clone(), cs: left, mv: right, holds }
    };
    let tests: Vec<Vec<PairTest>> =
        groups.iter().map(|group| group.iter().map(test).collect()).collect();
    let holds = tests.iter().any(|group| group.iter().all(|test| test.holds));
    (holds, tests)
}

/// A join clause between two objects that are linked.
#[derive(Clone, Debug, PartialEq)]
pub struct PairTest {
    pub clause: JoinClause,
    pub cs: Vec<Value>,
    pub mv: Vec<Value>,
    pub holds: bool,
}

/// How the manifest names an operator.
pub fn operator(operator: Operator) -> &'static str {
    match operator {
        Operator::Equal => "EQUAL",
        Operator::NotEqual => "NOTEQUAL",
        Operator::LessThan => "LESSTHAN",
        Operator::LessThanOrEqual => "LESSTHAN_OR_EQUAL",
        Operator::GreaterThan => "GREATERTHAN",
        Operator::GreaterThanOrEqual => "GREATERTHAN_OR_EQUAL",
        Operator::Contains => "CONTAINS",
        Operator::NotContains => "NOTCONTAINS",
        Operator::StartsWith => "STARTSWITH",
        Operator::NotStartsWith => "NOTSTARTSWITH",
        Operator::EndsWith => "ENDSWITH",
        Operator::NotEndsWith => "NOTENDSWITH",
        Operator::IsNull => "ISNULL",
        Operator::IsNotNull => "ISNOTNULL",
        Operator::IsIn => "ISIN",
        Operator::IsNotIn => "ISNOTIN",
        Operator::IsBitSet => "ISBITSET",
        Operator::IsBitNotSet => "ISBITNOTSET",
        Operator::IsMemberOf => "ISMEMBEROF",
        Operator::IsNotMemberOf => "ISNOTMEMBEROF",
    }
}

fn candidates(view: &dyn View, key: &IndexKey, rule: &Rule) -> BTreeSet<MvId> {
    let ids = view.join_candidates(key);
    let of_class = view.mv_objects(&ids).into_iter().filter(|object| rule.is_about(&object.class));
    of_class.map(|object| object.id).collect()
}

fn group_test<Id: Copy + PartialEq>(
    group: &JoinGroup,
    test: impl Fn(&JoinClause) -> JoinTest<Id>,
) -> GroupTest<Id> {
    let clauses: Vec<JoinTest<Id>> = group.iter().map(test).collect();
    let mut found = clauses.first().map(|first| first.found.clone()).unwrap_or_default();
    for other in clauses.iter().skip(1) {
        found.retain(|id| other.found.contains(id));
    }
    GroupTest { clauses, found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{attributes, clause};

    /// A scope `a EQUAL 1` and `b ISNOTNULL`, or `c ISNULL`; an object; which clauses hold.
    fn check(object: &[&str], expected: &[&[bool]], holds: bool) {
        let clause = |attribute: &str, operator, value: &str| Clause {
            attribute: attribute.into(),
            operator,
            value: value.into(),
            case_sensitive: false,
        };
        let groups = vec![
            vec![clause("a", Operator::Equal, "1"), clause("b", Operator::IsNotNull, "")],
            vec![clause("c", Operator::IsNull, "")],
        ];
        let told = scope(&Scope { groups }, &attributes(object));
        let held: Vec<Vec<bool>> =
            told.groups.iter().map(|group| group.iter().map(|test| test.holds).collect()).collect();
        assert_eq!((held, told.holds), (expected.iter().map(|g| g.to_vec()).collect(), holds));
    }

    #[test]
    fn p01_every_clause_is_told_also_behind_one_that_fails() {
        check(&["a=1", "b=2", "c=3"], &[&[true, true], &[false]], true);
        check(&["a=2", "b=2", "c=3"], &[&[false, true], &[false]], false);
        check(&["a=2"], &[&[false, false], &[true]], true);
    }

    #[test]
    fn r22_a_criterion_is_held_against_both_sides() {
        let groups = [vec![clause("mail", "mail")], vec![clause("id", "id"), clause("sn", "sn")]];
        let cs = attributes(&["mail=new@a", "id=7", "sn=X"]);
        let of = |mv: &[&str]| criteria(&groups, &cs, &attributes(mv)).0;
        assert!(of(&["mail=NEW@a"]));
        assert!(of(&["mail=old@a", "id=7", "sn=x"]));
        assert!(!of(&["mail=old@a", "id=7", "sn=y"]));
        assert!(!of(&[]));
    }
}

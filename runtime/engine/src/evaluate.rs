//! Asking rules: which objects flow in, what each rule says of each flows out. A rule whose input
//! is what it was before is not asked again.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::connector_space::CsId;
use crate::flow::{Fingerprint, Kept, RuleContribution, RuleInput, RuleOutcome, Rules};
use crate::object::{AttributeMap, AttributeName, Value};
use crate::plan::digest_value;
use crate::problem::{Problem, ProblemKind};
use crate::rule::{Rule, RuleId, RuleSet};
use crate::view::Counters;

/// One object that rules are asked about.
pub(crate) struct Subject<'a> {
    /// Who is named in problems.
    pub object: CsId,
    pub class: &'a str,
    pub attributes: &'a AttributeMap,
    pub imported: &'a AttributeMap,
    /// What the rules said last time.
    pub kept: &'a [RuleContribution],
    /// Whom to ask, in order of precedence.
    pub rules: Vec<RuleId>,
}

/// One answer for each of a subject's rules, in the same order.
pub(crate) type Answers = Vec<Result<RuleContribution, Problem>>;

/// Asks every subject's rules: one call of [`Rules::apply`] per rule, whatever the number of
/// subjects.
pub(crate) fn evaluate(
    subjects: &[Subject<'_>],
    rules: &RuleSet,
    modules: &dyn Rules,
    counters: &mut Counters,
) -> Vec<Answers> {
    let mut answers: Vec<Vec<Option<Result<RuleContribution, Problem>>>> =
        subjects.iter().map(|subject| vec![None; subject.rules.len()]).collect();
    for (id, places) in places_by_rule(subjects) {
        let rule = rules.rule(id);
        let (mut asked, mut inputs) = (vec![], vec![]);
        for (subject_index, slot) in places {
            let subject = &subjects[subject_index];
            let input = input(rule, subject);
            let fingerprint = fingerprint(rule, &input);
            match subject.kept.iter().find(|kept| kept.rule == rule.tag) {
                Some(kept) if kept.input == fingerprint && !rule.contract.volatile => {
                    counters.reused += 1;
                    answers[subject_index][slot] = Some(Ok(kept.clone()));
                }
                _ => {
                    asked.push((subject_index, slot, fingerprint));
                    inputs.push(input);
                }
            }
        }
        if inputs.is_empty() {
            continue;
        }
        *counters.calls.entry(rule.tag.clone()).or_default() += inputs.len() as u64;
        let outcomes = modules.apply(id, rule, &inputs);
        for ((subject_index, slot, fingerprint), outcome) in asked.into_iter().zip(outcomes) {
            let answer = answer(rule, subjects[subject_index].object, fingerprint, outcome);
            if answer.is_err() {
                *counters.failures.entry(rule.tag.clone()).or_default() += 1;
            }
            answers[subject_index][slot] = Some(answer);
        }
    }
    answers
        .into_iter()
        .zip(subjects)
        .map(|(answers, subject)| {
            let pairs = answers.into_iter().zip(&subject.rules);
            pairs
                .map(|(answer, id)| answer.unwrap_or_else(|| unanswered(subject, rules, *id)))
                .collect()
        })
        .collect()
}

fn places_by_rule(subjects: &[Subject<'_>]) -> BTreeMap<RuleId, Vec<(usize, usize)>> {
    let mut places: BTreeMap<RuleId, Vec<(usize, usize)>> = BTreeMap::new();
    for (index, subject) in subjects.iter().enumerate() {
        for (slot, id) in subject.rules.iter().enumerate() {
            places.entry(*id).or_default().push((index, slot));
        }
    }
    places
}

fn input<'a>(rule: &'a Rule, subject: &Subject<'a>) -> RuleInput<'a> {
    let parameters =
        rule.contract.parameters.iter().filter_map(|name| {
            rule.parameters.get(name).map(|value| (name.as_str(), value.as_str()))
        });
    RuleInput {
        class: subject.class,
        attributes: select(&rule.contract.reads, subject.attributes),
        imported: select(&rule.contract.reads_imported, subject.imported),
        parameters: parameters.collect(),
    }
}

fn select<'a>(
    names: &std::collections::BTreeSet<AttributeName>,
    attributes: &'a AttributeMap,
) -> Vec<(&'a AttributeName, Cow<'a, [Value]>)> {
    let found = names.iter().filter_map(|name| attributes.get_key_value(name));
    found.map(|(name, values)| (name, Cow::Borrowed(values.as_slice()))).collect()
}

/// Covers the module, its configuration and the entry as it is passed (rules.md 5.4).
fn fingerprint(rule: &Rule, input: &RuleInput<'_>) -> Fingerprint {
    let mut digest = Sha256::new();
    digest.update(rule.module.sha256.as_bytes());
    digest.update(rule.module.config_sha256.as_bytes());
    digest.update(input.class.as_bytes());
    for (mark, attributes) in [(1u8, &input.attributes), (2, &input.imported)] {
        for (name, values) in attributes {
            digest.update([mark]);
            digest.update((name.as_str().len() as u32).to_be_bytes());
            digest.update(name.as_str().as_bytes());
            digest.update((values.len() as u32).to_be_bytes());
            for value in values.iter() {
                digest_value(&mut digest, value);
            }
        }
    }
    for (name, value) in &input.parameters {
        digest.update([3u8]);
        digest.update((name.len() as u32).to_be_bytes());
        digest.update(name.as_bytes());
        digest.update((value.len() as u32).to_be_bytes());
        digest.update(value.as_bytes());
    }
    let mut half = [0; 16];
    half.copy_from_slice(&digest.finalize()[..16]);
    Fingerprint(half)
}

fn answer(
    rule: &Rule,
    object: CsId,
    input: Fingerprint,
    outcome: RuleOutcome,
) -> Result<RuleContribution, Problem> {
    let keep = |outcome| Ok(RuleContribution { rule: rule.tag.clone(), input, outcome });
    let problem = |kind, attribute, message| {
        Err(Problem { kind, object, rule: Some(rule.tag.clone()), attribute, message })
    };
    match outcome {
        RuleOutcome::Flows(flows) => keep(Kept::Flows(flows)),
        RuleOutcome::Skip(reason) => keep(Kept::Skipped(reason)),
        RuleOutcome::Fail { attribute, message } => {
            problem(ProblemKind::FlowError, attribute, message)
        }
        RuleOutcome::Trapped { trap, message } => {
            problem(ProblemKind::RuleTrap, None, format!("{}: {message}", trap.as_str()))
        }
        RuleOutcome::BadContribution { attribute, message } => {
            let message = format!("`{attribute}`: {message}");
            problem(ProblemKind::BadContribution, Some(attribute), message)
        }
    }
}

/// A host that gives fewer answers than it was asked for is broken, which must not look like
/// "nothing".
fn unanswered(
    subject: &Subject<'_>,
    rules: &RuleSet,
    id: RuleId,
) -> Result<RuleContribution, Problem> {
    Err(Problem {
        kind: ProblemKind::RuleTrap,
        object: subject.object,
        rule: Some(rules.rule(id).tag.clone()),
        attribute: None,
        message: "abi: the host gave no answer for this object".into(),
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::flow::{Contribution, Flow};
    use crate::rule::{ConnectorKind, Contract, Direction};
    use crate::testing::{attributes, rule, rule_set};

    /// Answers with the attribute `a`; fails on `a=bad`, gives too few answers for `a=mute`.
    #[derive(Default)]
    struct Echo {
        calls: RefCell<Vec<(String, usize)>>,
    }

    impl Rules for Echo {
        fn apply(&self, _: RuleId, rule: &Rule, inputs: &[RuleInput<'_>]) -> Vec<RuleOutcome> {
            self.calls.borrow_mut().push((rule.name.clone(), inputs.len()));
            let answer = |input: &RuleInput<'_>| {
                let values = input.attributes.first().map_or_else(Vec::new, |(_, v)| v.to_vec());
                if values == [Value::text("bad")] {
                    return RuleOutcome::Fail { attribute: None, message: "bad".into() };
                }
                let contribution = Contribution::Values(values);
                RuleOutcome::Flows(vec![Flow { attribute: "a".into(), contribution }])
            };
            let mute = |input: &&RuleInput<'_>| {
                input.attributes.first().is_none_or(|(_, v)| v[..] != [Value::text("mute")])
            };
            inputs.iter().filter(mute).map(answer).collect()
        }
    }

    fn reading(tag: &str, names: &[&str], volatile: bool) -> Rule {
        let reads = names.iter().map(|name| AttributeName::from(*name)).collect();
        let contract = Contract { reads, volatile, ..Contract::default() };
        Rule { contract, ..rule(tag, Direction::Inbound, 1) }
    }

    fn ask(
        objects: &[AttributeMap],
        kept: &[RuleContribution],
        rules: &RuleSet,
        modules: &Echo,
    ) -> (Vec<Answers>, Counters) {
        let ids: Vec<RuleId> = (0..rules.rules.len() as u32).map(RuleId).collect();
        let subject = |(index, attributes)| Subject {
            object: CsId(index as i64),
            class: "user",
            attributes,
            imported: attributes,
            kept,
            rules: ids.clone(),
        };
        let subjects: Vec<Subject<'_>> = objects.iter().enumerate().map(subject).collect();
        let mut counters = Counters::default();
        (evaluate(&subjects, rules, modules, &mut counters), counters)
    }

    #[test]
    fn every_rule_is_called_once_for_the_whole_batch() {
        let rules = [reading("x", &["a"], false), reading("y", &["a"], false)];
        let rules = rule_set(ConnectorKind::Source, rules.to_vec());
        let modules = Echo::default();
        let objects = [attributes(&["a=1"]), attributes(&["a=2"]), attributes(&["a=3"])];
        ask(&objects, &[], &rules, &modules);
        let calls = modules.calls.borrow();
        assert_eq!(*calls, [("x".to_owned(), 3), ("y".to_owned(), 3)]);
    }

    /// A rule that reads `a` has answered for `a=1 b=1`; is it asked again for this, if it was this
    /// rule?
    fn check_reuse(second: &Rule, object: &[&str], asked: bool) {
        let modules = Echo::default();
        let first = rule_set(ConnectorKind::Source, vec![reading("x", &["a"], false)]);
        let (answers, _) = ask(&[attributes(&["a=1", "b=1"])], &[], &first, &modules);
        let kept: Vec<RuleContribution> =
            answers.into_iter().flatten().collect::<Result<_, _>>().unwrap();
        let second = rule_set(ConnectorKind::Source, vec![second.clone()]);
        let (_, counters) = ask(&[attributes(object)], &kept, &second, &modules);
        assert_eq!(modules.calls.borrow().len() == 2, asked, "{object:?}");
        assert_eq!(counters.reused, u64::from(!asked));
    }

    #[test]
    fn a_rule_is_asked_again_only_if_something_it_sees_has_changed() {
        let same = reading("x", &["a"], false);
        check_reuse(&same, &["a=1", "b=1"], false);
        check_reuse(&same, &["a=1", "b=2"], false);
        check_reuse(&same, &["a=2", "b=1"], true);
        check_reuse(&same, &["b=1"], true);
        check_reuse(&reading("x", &["a", "b"], false), &["a=1", "b=1"], true);
        check_reuse(&reading("renamed", &["a"], false), &["a=1"], true);
        let mut configured = same;
        configured.module.config_sha256 = "1".repeat(64);
        check_reuse(&configured, &["a=1"], true);
    }

    #[test]
    fn a_volatile_rule_is_always_asked() {
        check_reuse(&reading("x", &["a"], true), &["a=1", "b=1"], true);
    }

    #[test]
    fn one_objects_failure_leaves_the_others_answers_as_they_are() {
        let rules = rule_set(ConnectorKind::Source, vec![reading("x", &["a"], false)]);
        let objects = [attributes(&["a=1"]), attributes(&["a=bad"]), attributes(&["a=3"])];
        let (answers, counters) = ask(&objects, &[], &rules, &Echo::default());
        let failed: Vec<bool> = answers.iter().map(|answers| answers[0].is_err()).collect();
        assert_eq!(failed, [false, true, false]);
        assert_eq!(counters.failures.values().copied().collect::<Vec<_>>(), [1]);
        assert_eq!(answers[1][0].as_ref().unwrap_err().kind, ProblemKind::FlowError);
    }

    #[test]
    fn an_object_that_the_host_gave_no_answer_for_has_a_problem() {
        let rules = rule_set(ConnectorKind::Source, vec![reading("x", &["a"], false)]);
        let objects = [attributes(&["a=1"]), attributes(&["a=mute"])];
        let (answers, _) = ask(&objects, &[], &rules, &Echo::default());
        assert_eq!(answers[1][0].as_ref().unwrap_err().kind, ProblemKind::RuleTrap);
    }
}

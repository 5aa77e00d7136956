//! Scope clauses: what was typed flows in, what the engine tests flows out, with lints on the way.

use std::collections::BTreeMap;

use kakehi_engine::scope::{Clause, Operator, Scope};

use super::codes::{
    CLAUSE_VALUE, EMPTY_GROUP, MANY_BITS, MANY_VALUES, MASK, MEMBERS_OUTBOUND, UNKNOWN_OPERATOR,
    UNKNOWN_PARAMETER,
};
use super::raw::{ClauseRaw, DirectionRaw, RuleRaw};
use super::rule::Spot;
use crate::config::finding::Findings;
use crate::config::yaml::Mark;

/// Every operator by its name in the field; `ISNOTBITSET` is how some exports spell it.
const OPERATORS: [(&str, Operator); 21] = [
    ("EQUAL", Operator::Equal),
    ("NOTEQUAL", Operator::NotEqual),
    ("LESSTHAN", Operator::LessThan),
    ("LESSTHAN_OR_EQUAL", Operator::LessThanOrEqual),
    ("GREATERTHAN", Operator::GreaterThan),
    ("GREATERTHAN_OR_EQUAL", Operator::GreaterThanOrEqual),
    ("CONTAINS", Operator::Contains),
    ("NOTCONTAINS", Operator::NotContains),
    ("STARTSWITH", Operator::StartsWith),
    ("NOTSTARTSWITH", Operator::NotStartsWith),
    ("ENDSWITH", Operator::EndsWith),
    ("NOTENDSWITH", Operator::NotEndsWith),
    ("ISNULL", Operator::IsNull),
    ("ISNOTNULL", Operator::IsNotNull),
    ("ISIN", Operator::IsIn),
    ("ISNOTIN", Operator::IsNotIn),
    ("ISBITSET", Operator::IsBitSet),
    ("ISBITNOTSET", Operator::IsBitNotSet),
    ("ISNOTBITSET", Operator::IsBitNotSet),
    ("ISMEMBEROF", Operator::IsMemberOf),
    ("ISNOTMEMBEROF", Operator::IsNotMemberOf),
];

/// Attributes with several values in every directory: `EQUAL` on them is hardly meant.
const MULTI_VALUED: [&str; 8] = [
    "objectClass",
    "memberOf",
    "member",
    "proxyAddresses",
    "otherMailbox",
    "servicePrincipalName",
    "userCertificate",
    "directReports",
];

/// A clause whose parameters are not filled in yet.
#[derive(Clone, Debug)]
pub(super) struct ClauseDraft {
    clause: Clause,
    mark: Mark,
}

pub(super) type ScopeDraft = Vec<Vec<ClauseDraft>>;

/// Takes the scope of a rule as typed. Notes unknown operators, values that do not fit them, and
/// clauses that are hardly meant so.
pub(super) fn draft(raw: &RuleRaw, spot: &Spot<'_>, findings: &mut Findings) -> ScopeDraft {
    let mut groups = vec![];
    for group in &raw.scope {
        if group.value.is_empty() {
            spot.error(findings, EMPTY_GROUP, "a group of `scope` has no clause", group.mark)
                .hint("leave `scope` out where every object is meant");
        }
        let clauses = group.value.iter().filter_map(|raw| clause(raw, spot, findings));
        let clauses: Vec<ClauseDraft> = clauses.collect();
        if matches!(raw.direction, DirectionRaw::Outbound) {
            members_outbound(&clauses, spot, findings);
        }
        groups.push(clauses);
    }
    groups
}

/// Members are those of a group of the source: in the metaverse there are no DNs.
fn members_outbound(clauses: &[ClauseDraft], spot: &Spot<'_>, findings: &mut Findings) {
    for draft in clauses.iter().filter(|draft| draft.clause.asks_for_members()) {
        let message = "an outbound rule cannot ask for the members of a group of a source";
        spot.error(findings, MEMBERS_OUTBOUND, message, draft.mark)
            .hint("let an inbound rule with this clause set an attribute, and ask for that");
    }
}

/// Fills in the parameters of one connector: `%Domain.FQDN%`. Notes those that it does not have.
pub(super) fn fill(
    draft: &ScopeDraft,
    parameters: &BTreeMap<String, String>,
    spot: &Spot<'_>,
    findings: &mut Findings,
) -> Scope {
    let mut filled = |draft: &ClauseDraft| {
        let value = substitute(&draft.clause.value, parameters).unwrap_or_else(|unknown| {
            spot.error(
                findings,
                UNKNOWN_PARAMETER,
                format_args!("unknown parameter `{unknown}`"),
                draft.mark,
            )
            .hint_nearest(&unknown, parameters.keys().map(String::as_str));
            String::new()
        });
        Clause { value, ..draft.clause.clone() }
    };
    let groups = draft.iter().map(|group| group.iter().map(&mut filled).collect()).collect();
    Scope { groups }
}

fn clause(raw: &ClauseRaw, spot: &Spot<'_>, findings: &mut Findings) -> Option<ClauseDraft> {
    let written = raw.op.value.as_str();
    let known = OPERATORS.iter().find(|(name, _)| *name == written);
    let Some((name, operator)) = known.copied() else {
        let message = format_args!("unknown operator `{written}`");
        spot.error(findings, UNKNOWN_OPERATOR, message, raw.op.mark)
            .hint_nearest(written, OPERATORS.iter().map(|(name, _)| *name));
        return None;
    };
    let takes_value = !matches!(operator, Operator::IsNull | Operator::IsNotNull);
    let value = match (&raw.value, takes_value) {
        (Some(value), true) => value.value.0.clone(),
        (None, false) => String::new(),
        (Some(value), false) => {
            let message = format_args!("the operator `{name}` takes no value");
            spot.error(findings, CLAUSE_VALUE, message, value.mark).hint("leave `value` out");
            return None;
        }
        (None, true) => {
            let message = format_args!("the operator `{name}` needs a value");
            spot.error(findings, CLAUSE_VALUE, message, raw.op.mark).hint("add `value`");
            return None;
        }
    };
    let mark = raw.value.as_ref().map_or(raw.op.mark, |value| value.mark);
    let attribute = raw.attr.value.as_str().into();
    let clause = Clause { attribute, operator, value, case_sensitive: raw.case_sensitive };
    lint(name, &clause, mark, spot, findings);
    Some(ClauseDraft { clause, mark })
}

fn lint(name: &str, clause: &Clause, mark: Mark, spot: &Spot<'_>, findings: &mut Findings) {
    let attribute = clause.attribute.as_str();
    let bits = matches!(clause.operator, Operator::IsBitSet | Operator::IsBitNotSet);
    if bits && !clause.value.contains('%') {
        match clause.value.trim().parse::<i64>() {
            Err(_) => {
                let message = format_args!("the mask of `{name}` is no number: `{}`", clause.value);
                spot.error(findings, MASK, message, mark).hint("write the bits as one number");
            }
            Ok(mask) if mask.count_ones() != 1 => {
                let message = format_args!("the mask `{mask}` of `{name}` is not a single bit");
                spot.warning(findings, MANY_BITS, message, mark)
                    .hint("all of its bits are meant at once; take a clause for each bit");
            }
            Ok(_) => {}
        }
    }
    let several = MULTI_VALUED.iter().any(|known| known.eq_ignore_ascii_case(attribute));
    if several && matches!(clause.operator, Operator::Equal | Operator::NotEqual) {
        let better = if clause.operator == Operator::Equal { "ISIN" } else { "ISNOTIN" };
        let message = format_args!("`{name}` on `{attribute}`, which has several values");
        spot.warning(findings, MANY_VALUES, message, mark)
            .hint(format!("write `{better}`: some value is equal"));
    }
}

/// Replaces every `%name%`. Errors: the first name that is unknown. A lone `%` stays.
fn substitute(text: &str, parameters: &BTreeMap<String, String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        filled.push_str(before);
        let named = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_');
        match after.split_once('%') {
            Some((name, behind)) if !name.is_empty() && name.chars().all(named) => {
                filled.push_str(parameters.get(name).ok_or_else(|| name.to_owned())?);
                rest = behind;
            }
            _ => {
                filled.push('%');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_filled_in_and_other_percent_signs_stay() {
        let parameters = BTreeMap::from([("Domain.FQDN".to_owned(), "corp.example".to_owned())]);
        for (text, expected) in [
            ("@%Domain.FQDN%", Ok("@corp.example")),
            ("%Domain.FQDN%-%Domain.FQDN%", Ok("corp.example-corp.example")),
            ("50%", Ok("50%")),
            ("5 % of 10 %", Ok("5 % of 10 %")),
            ("%%", Ok("%%")),
            ("%Domain.Fqdn%", Err("Domain.Fqdn")),
        ] {
            let filled = substitute(text, &parameters);
            assert_eq!(filled, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }
}

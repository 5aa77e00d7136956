//! What a module declares, held against the manifest: every finding at once (rules.md 5.3).

mod nearest;

use std::collections::BTreeSet;

use kakehi_engine::object::AttributeName;

use crate::abi::latest;
use crate::error::LoadError;
use crate::text::clean;
use nearest::nearest;

/// Most names in one list of a contract: a rule that reads more copies the directory.
pub const CONTRACT_NAMES_MAX: usize = 2_000;

/// Longest name in a contract in bytes: the longest SCIM attribute paths have about 100.
pub const CONTRACT_NAME_BYTES_MAX: usize = 256;

/// Attributes that hold passwords or keys: they never cross the wall (G-17). Compared as LDAP does,
/// without regard to case and options.
const FORBIDDEN: [&str; 10] = [
    "userPassword",
    "unicodePwd",
    "dBCSPwd",
    "ntPwdHistory",
    "lmPwdHistory",
    "supplementalCredentials",
    "msDS-ManagedPassword",
    "ms-Mcs-AdmPwd",
    "sambaNTPassword",
    "krbPrincipalKey",
];

/// Like [`FORBIDDEN`], for a family of names that still grows.
const FORBIDDEN_PREFIX: &str = "msLAPS-";

/// What a module, so configured, declared, as it said it (rules.md 3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclaredContract {
    pub reads: Vec<AttributeName>,
    pub reads_imported: Vec<AttributeName>,
    pub parameters: Vec<String>,
    pub writes: Vec<AttributeName>,
    pub volatile: bool,
}

// === impl DeclaredContract ===

impl DeclaredContract {
    /// Whether both say the same; the order of names does not count.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        same(&self.reads, &other.reads)
            && same(&self.reads_imported, &other.reads_imported)
            && same(&self.parameters, &other.parameters)
            && same(&self.writes, &other.writes)
            && self.volatile == other.volatile
    }

    /// Whether the contract names this attribute, as read or as written.
    pub(crate) fn names(&self, attribute: &str) -> bool {
        [&self.reads, &self.reads_imported, &self.writes]
            .into_iter()
            .flatten()
            .any(|name| name.as_str() == attribute)
    }
}

impl From<latest::Contract> for DeclaredContract {
    fn from(contract: latest::Contract) -> Self {
        let attributes =
            |names: Vec<String>| names.into_iter().map(AttributeName::from).collect::<Vec<_>>();
        Self {
            reads: attributes(contract.reads),
            reads_imported: attributes(contract.reads_imported),
            parameters: contract.parameters,
            writes: attributes(contract.writes),
            volatile: contract.volatile,
        }
    }
}

fn same<T: Ord>(one: &[T], other: &[T]) -> bool {
    // Hardly any module answers in another order, so sorting is kept for those that do.
    one == other
        || (one.len() == other.len()
            && one.iter().collect::<BTreeSet<_>>() == other.iter().collect::<BTreeSet<_>>())
}

/// Checks what can be checked without a schema.
///
/// Takes: the contract; the writes that the manifest allows, `None` if it allows whatever the
/// contract says; the parameters of the rule's connector and of the installation. Gives: errors
/// (K0510, K0511) in order of list and name, and warnings.
pub fn check_contract(
    declared: &DeclaredContract,
    allowed_writes: Option<&BTreeSet<AttributeName>>,
    known_parameters: &BTreeSet<String>,
) -> (Vec<LoadError>, Vec<String>) {
    let mut errors = vec![];
    for (list, names) in [
        ("reads", &declared.reads),
        ("reads-imported", &declared.reads_imported),
        ("writes", &declared.writes),
    ] {
        check_names(list, names.iter().map(AttributeName::as_str), &mut errors);
        errors.extend(names.iter().filter(|name| is_forbidden(name.as_str())).map(|name| {
            LoadError::new(
                "K0510",
                format!("`{list}` names `{}`, which no rule may see or set", shown(name.as_str())),
            )
            .with_hint("passwords and keys do not pass through rules")
        }));
    }
    check_names("parameters", declared.parameters.iter().map(String::as_str), &mut errors);
    for name in declared.parameters.iter().filter(|name| !known_parameters.contains(*name)) {
        let message = format!("`parameters` names `{}`, which does not exist", shown(name));
        errors.push(unknown("K0510", message, name, known_parameters.iter().map(String::as_str)));
    }
    let mut warnings = vec![];
    if let Some(allowed) = allowed_writes {
        check_writes(declared, allowed, &mut errors, &mut warnings);
    }
    (errors, warnings)
}

/// What holds for every list of names.
fn check_names<'a>(
    list: &str,
    names: impl ExactSizeIterator<Item = &'a str>,
    errors: &mut Vec<LoadError>,
) {
    let count = names.len();
    if count > CONTRACT_NAMES_MAX {
        let message = format!("`{list}` has {count} names, at most {CONTRACT_NAMES_MAX}");
        errors.push(LoadError::new("K0510", message));
    }
    let mut seen = BTreeSet::new();
    let mut repeated = BTreeSet::new();
    for name in names {
        if name.is_empty() {
            errors.push(LoadError::new("K0510", format!("`{list}` has an empty name")));
        }
        if name.len() > CONTRACT_NAME_BYTES_MAX {
            let message = format!(
                "`{list}` has a name of {} bytes, at most {CONTRACT_NAME_BYTES_MAX}: `{}`",
                name.len(),
                shown(name)
            );
            errors.push(LoadError::new("K0510", message));
        }
        if !seen.insert(name) {
            repeated.insert(name);
        }
    }
    errors.extend(repeated.into_iter().map(|name| {
        LoadError::new("K0510", format!("`{list}` names `{}` more than once", shown(name)))
    }));
}

fn check_writes(
    declared: &DeclaredContract,
    allowed: &BTreeSet<AttributeName>,
    errors: &mut Vec<LoadError>,
    warnings: &mut Vec<String>,
) {
    for name in declared.writes.iter().filter(|name| !allowed.contains(*name)) {
        let message =
            format!("writes `{}`, which the manifest does not allow", shown(name.as_str()));
        let candidates = allowed.iter().map(AttributeName::as_str);
        errors.push(unknown("K0511", message, name.as_str(), candidates));
    }
    let declared: BTreeSet<_> = declared.writes.iter().collect();
    warnings.extend(
        allowed
            .iter()
            .filter(|name| !declared.contains(name))
            .map(|name| format!("`writes` allows `{name}`, which the module never writes")),
    );
}

fn unknown<'a>(
    code: &'static str,
    message: String,
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> LoadError {
    let error = LoadError::new(code, message);
    match nearest(name, candidates) {
        Some(nearest) => error.with_hint(format!("did you mean `{nearest}`?")),
        None => error,
    }
}

fn is_forbidden(name: &str) -> bool {
    let base = name.split(';').next().unwrap_or(name);
    FORBIDDEN.iter().any(|forbidden| base.eq_ignore_ascii_case(forbidden))
        || base
            .get(..FORBIDDEN_PREFIX.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(FORBIDDEN_PREFIX))
}

/// A name of a guest as it may stand in a message.
fn shown(name: &str) -> String {
    clean(name, CONTRACT_NAME_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn names(names: &[&str]) -> Vec<AttributeName> {
        names.iter().map(|name| AttributeName::from(*name)).collect()
    }

    fn check(declared: &DeclaredContract, allowed: Option<&[&str]>, expected: &Expect) {
        let allowed = allowed.map(|allowed| names(allowed).into_iter().collect());
        let parameters = ["Domain.FQDN".to_owned()].into();
        let (errors, warnings) = check_contract(declared, allowed.as_ref(), &parameters);
        let mut found = String::new();
        for error in errors {
            found += &format!("{error}\n");
            found += &error.hint.map_or_else(String::new, |hint| format!("  hint: {hint}\n"));
        }
        for warning in warnings {
            found += &format!("warning: {warning}\n");
        }
        expected.assert_eq(&found);
    }

    #[test]
    fn g06_g17_every_fault_of_a_contract_is_found_at_once() {
        let declared = DeclaredContract {
            reads: names(&["mail", "sn", "mail", "", "UserPassword;binary", "mslaps-password"]),
            reads_imported: names(&["unicodePwd"]),
            parameters: vec!["Domain.FQDN".into(), "Domain.FQDM".into(), "Colour".into()],
            writes: names(&["mail", "givenname", "a\n"]),
            volatile: false,
        };
        check(
            &declared,
            Some(&["mail", "givenName", "sn"]),
            &expect![[r#"
                `reads` has an empty name (K0510)
                `reads` names `mail` more than once (K0510)
                `reads` names `UserPassword;binary`, which no rule may see or set (K0510)
                  hint: passwords and keys do not pass through rules
                `reads` names `mslaps-password`, which no rule may see or set (K0510)
                  hint: passwords and keys do not pass through rules
                `reads-imported` names `unicodePwd`, which no rule may see or set (K0510)
                  hint: passwords and keys do not pass through rules
                `parameters` names `Domain.FQDM`, which does not exist (K0510)
                  hint: did you mean `Domain.FQDN`?
                `parameters` names `Colour`, which does not exist (K0510)
                writes `givenname`, which the manifest does not allow (K0511)
                  hint: did you mean `givenName`?
                writes `a\n`, which the manifest does not allow (K0511)
                warning: `writes` allows `givenName`, which the module never writes
                warning: `writes` allows `sn`, which the module never writes
            "#]],
        );
    }

    #[test]
    fn limits_hold_at_their_value_and_not_one_beyond() {
        let name = |length: usize| AttributeName::from("a".repeat(length));
        let many = |count: usize| (0..count).map(|n| format!("a{n}").into()).collect();
        for (reads, errors) in [
            (vec![name(CONTRACT_NAME_BYTES_MAX)], 0),
            (vec![name(CONTRACT_NAME_BYTES_MAX + 1)], 1),
            (many(CONTRACT_NAMES_MAX), 0),
            (many(CONTRACT_NAMES_MAX + 1), 1),
        ] {
            let declared = DeclaredContract { reads, ..DeclaredContract::default() };
            assert_eq!(check_contract(&declared, None, &BTreeSet::new()).0.len(), errors);
        }
    }

    #[test]
    fn a_pure_filter_and_an_open_manifest_are_fine() {
        let declared = DeclaredContract { reads: names(&["mail"]), ..DeclaredContract::default() };
        check(&declared, None, &expect![""]);
    }

    #[test]
    fn contracts_agree_whatever_their_order() {
        let contract = |reads: &[&str], volatile| DeclaredContract {
            reads: names(reads),
            volatile,
            ..DeclaredContract::default()
        };
        let loaded = contract(&["a", "b"], false);
        assert!(loaded.agrees_with(&contract(&["b", "a"], false)));
        assert!(!loaded.agrees_with(&contract(&["a", "a"], false)));
        assert!(!loaded.agrees_with(&contract(&["a"], false)));
        assert!(!loaded.agrees_with(&contract(&["a", "b"], true)));
    }
}

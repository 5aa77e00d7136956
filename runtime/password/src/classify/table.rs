//! The table of password.md 9.

use kakehi_engine::password::{Answer, Category};

use super::{HttpAnswer, LdapAnswer, Phase, Rules};

/// What an HTTP answer means.
///
/// Takes: any status. Gives [`Answer::Ok`] for 2xx alone. Rules are asked before the table.
/// A status that is not in the table means what the first of its hundred does (RFC 9110 section
/// 15), but for those that speak of us and not of the user.
pub fn http(phase: Phase, answer: HttpAnswer<'_>, rules: &Rules) -> Answer {
    let HttpAnswer { status, detail, retry_after, .. } = answer;
    if (200..300).contains(&status) {
        return Answer::Ok;
    }
    if let Some(decided) = rules.decide(detail, retry_after, |rule| rule.is_for_http(answer)) {
        return decided;
    }
    match (status, phase) {
        // Never followed: the password would go to wherever the server says.
        (300..400, _) => Answer::Refused,
        (401 | 403 | 405, _) | (501, _) => Answer::Refused,
        // The collection is not there at all.
        (404 | 410, Phase::Find) => Answer::Refused,
        (404 | 410, Phase::Set) => Answer::NotFound,
        // 412: asked for once more already, and somebody else was quicker again.
        (408 | 412 | 425 | 429, _) => Answer::Unavailable { retry_after, server_error: false },
        // Payment, representations, proxies, wrong host, TLS, preconditions, headers, law.
        (402 | 406 | 407 | 421 | 426 | 428 | 431 | 451, _) => Answer::Refused,
        (400..=499, _) => Answer::Rejected(rules.category(detail)),
        // A gateway lost the answer, not necessarily the request.
        (504, Phase::Set) => Answer::Uncertain,
        _ => Answer::Unavailable { retry_after, server_error: true },
    }
}

/// What an LDAP result means. Rules are asked before the table.
///
/// Codes that are not in the table are about the user when a password was to be set, and about us
/// when a user was looked for.
pub fn ldap(phase: Phase, answer: LdapAnswer<'_>, rules: &Rules) -> Answer {
    let LdapAnswer { code, diagnostic, policy } = answer;
    if code == 0 {
        return Answer::Ok;
    }
    let decided = rules.decide(diagnostic, None, |rule| rule.is_for_ldap(answer));
    let answer = decided.unwrap_or_else(|| by_code(phase, code, diagnostic, rules));
    match (answer, policy) {
        // The control says in a number what the words leave open.
        (Answer::Rejected(Category::Other | Category::Complexity), Some(category)) => {
            Answer::Rejected(category)
        }
        (answer, _) => answer,
    }
}

fn by_code(phase: Phase, code: u32, diagnostic: &str, rules: &Rules) -> Answer {
    let unavailable = |server_error| Answer::Unavailable { retry_after: None, server_error };
    match (code, phase) {
        // The base is not there, or not ours to see.
        (32, Phase::Find) => Answer::Refused,
        (32, Phase::Set) => Answer::NotFound,
        (19 | 21 | 34, _) => Answer::Rejected(rules.category(diagnostic)),
        // Protocol, authentication, referral, controls, unknown attribute type.
        (2 | 7 | 8 | 10 | 12 | 13 | 14 | 17 | 48 | 49 | 50, _) => Answer::Refused,
        (3 | 51 | 52 | 81 | 85 | 91, _) => unavailable(false),
        // operationsError, other: the server failed, perhaps at this one user.
        (1 | 80, _) => unavailable(true),
        (_, Phase::Find) => Answer::Refused,
        (_, Phase::Set) => Answer::Rejected(rules.category(diagnostic)),
    }
}

/// What the error of a password policy response control says
/// (draft-behera-ldap-password-policy-10 section 6.2); `None`: nothing of the password itself.
pub fn policy_error(error: u32) -> Option<Category> {
    match error {
        5 => Some(Category::Complexity),
        6 => Some(Category::TooShort),
        8 => Some(Category::History),
        _ => None,
    }
}

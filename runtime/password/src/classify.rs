//! What an answer of a target means: a status or result code and the server's words flow in, an
//! [`Answer`] flows out (password.md 9). Pure; administrators' rules come before the shipped ones.
//!
//! The words decide only where a rule says so, and what they decide is one of a few variants:
//! nothing of them is kept here.

mod shipped;
mod table;

use std::time::Duration;

use kakehi_engine::password::{Answer, Category};
use regex::{Regex, RegexBuilder};

pub use self::table::{http, ldap, policy_error};

/// Most rules of one target, and longest pattern: enough for every server known, few enough to be
/// tried on each refusal.
pub const RULES_MAX: usize = 200;
pub const PATTERN_BYTES_MAX: usize = 1_000;

/// What a compiled pattern may take: a few character classes of all scripts fit.
const PATTERN_MEMORY_BYTES_MAX: usize = 1024 * 1024;

/// How much of a server's words is looked at.
const DETAIL_BYTES_MAX: usize = 4096;

/// Which of the two requests was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Request 1: who is meant.
    Find,
    /// Request 2, and reading the user for it.
    Set,
}

/// An HTTP answer that is not 2xx, as far as it decides anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpAnswer<'a> {
    pub status: u16,
    pub scim_type: Option<&'a str>,
    /// `detail` of a SCIM error, or the whole body where it is none.
    pub detail: &'a str,
    pub retry_after: Option<Duration>,
}

/// An LDAP result, as far as it decides anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LdapAnswer<'a> {
    pub code: u32,
    pub diagnostic: &'a str,
    /// What the response control of the password policy says ([`policy_error`]).
    pub policy: Option<Category>,
}

/// A rule as an administrator writes it. Parts that are left out match everything; all that are
/// there must match. With `status` it is for HTTP, with `code` for LDAP, with neither for both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleText {
    pub status: Option<u16>,
    /// LDAP result code.
    pub code: Option<u32>,
    pub scim_type: Option<String>,
    /// Looked for anywhere in the words, upper and lower case alike.
    pub detail_regex: Option<String>,
    pub result: RuleResult,
    /// For rejections, else without meaning; left out: what the shipped patterns make of the words.
    pub category: Option<Category>,
}

/// What a rule may make of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleResult {
    /// Done all the same: some servers refuse the password that the user has already.
    Ok,
    /// Counts (T13, T18).
    Rejected,
    NotFound,
    Ambiguous,
    /// Our credential or configuration is refused (T24).
    Refused,
    /// Does not count (T12, T20).
    Unavailable,
    /// It may have been done (T21).
    Uncertain,
}

/// The rules of one target, ready for use: the administrator's, then the shipped ones.
#[derive(Debug)]
pub struct Rules {
    own: Vec<Rule>,
    shipped: Vec<Rule>,
    categories: Vec<(Regex, Category)>,
}

#[derive(Debug)]
struct Rule {
    status: Option<u16>,
    code: Option<u32>,
    scim_type: Option<String>,
    detail: Option<Regex>,
    result: RuleResult,
    category: Option<Category>,
}

/// Why rules cannot be used. `index` counts from 0, in the order they were written.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("{found} rules, {RULES_MAX} are allowed: several texts fit one pattern, `a|b`")]
    TooMany { found: usize },
    #[error("rule {index}: {reason}")]
    Rule { index: usize, reason: String },
}

// === impl Rules ===

impl Rules {
    /// Takes: an administrator's rules in order of precedence, possibly none.
    ///
    /// Errors: a pattern that is none, is too long or takes too much memory; a rule that matches
    /// everything, or nothing.
    pub fn new(own: &[RuleText]) -> Result<Self, RulesError> {
        if own.len() > RULES_MAX {
            return Err(RulesError::TooMany { found: own.len() });
        }
        let compile = |rules: &[RuleText]| {
            let compiled = rules.iter().enumerate().map(|(index, rule)| {
                Rule::new(rule).map_err(|reason| RulesError::Rule { index, reason })
            });
            compiled.collect::<Result<Vec<_>, _>>()
        };
        let categories =
            shipped::CATEGORIES.iter().enumerate().map(|(index, (pattern, category))| {
                let regex = compiled(&pattern.join("|"))
                    .map_err(|reason| RulesError::Rule { index, reason })?;
                Ok((regex, *category))
            });
        Ok(Self {
            own: compile(own)?,
            shipped: compile(&shipped::rules())?,
            categories: categories.collect::<Result<_, _>>()?,
        })
    }

    /// Why a password was rejected, by the words alone.
    fn category(&self, detail: &str) -> Category {
        let detail = looked_at(detail);
        let known = self.categories.iter().find(|(regex, _)| regex.is_match(detail));
        known.map_or(Category::Other, |(_, category)| *category)
    }

    /// What the first rule that matches makes of an answer.
    fn decide(
        &self,
        detail: &str,
        retry_after: Option<Duration>,
        matches: impl Fn(&Rule) -> bool,
    ) -> Option<Answer> {
        let words = looked_at(detail);
        let says = |rule: &Rule| rule.detail.as_ref().is_none_or(|regex| regex.is_match(words));
        let mut rules = self.own.iter().chain(&self.shipped);
        let rule = rules.find(|rule| matches(rule) && says(rule))?;
        Some(match rule.result {
            RuleResult::Rejected => {
                Answer::Rejected(rule.category.unwrap_or_else(|| self.category(detail)))
            }
            RuleResult::Ok => Answer::Ok,
            RuleResult::NotFound => Answer::NotFound,
            RuleResult::Ambiguous => Answer::Ambiguous,
            RuleResult::Uncertain => Answer::Uncertain,
            RuleResult::Refused => Answer::Refused,
            RuleResult::Unavailable => Answer::Unavailable { retry_after, server_error: false },
        })
    }
}

// === impl Rule ===

impl Rule {
    fn new(text: &RuleText) -> Result<Self, String> {
        let RuleText { status, code, scim_type, detail_regex, result, category } = text;
        if status.is_none() && code.is_none() && scim_type.is_none() && detail_regex.is_none() {
            return Err("it matches every answer: say a status, a code or a text".to_owned());
        }
        if code.is_some() && (status.is_some() || scim_type.is_some()) {
            return Err("it asks for an HTTP and an LDAP answer at once: split it".to_owned());
        }
        if status.is_some_and(|status| !(300..600).contains(&status)) {
            return Err("`status` is one of 300 to 599: success is not a rule's to decide".into());
        }
        if *code == Some(0) {
            return Err("`code` 0 is success, which is not a rule's to decide".to_owned());
        }
        Ok(Self {
            status: *status,
            code: *code,
            scim_type: scim_type.clone(),
            detail: detail_regex.as_deref().map(compiled).transpose()?,
            result: *result,
            category: *category,
        })
    }

    fn is_for_http(&self, answer: HttpAnswer<'_>) -> bool {
        let scim_type = self.scim_type.as_deref();
        self.code.is_none()
            && self.status.is_none_or(|status| status == answer.status)
            && scim_type.is_none_or(|wanted| answer.scim_type == Some(wanted))
    }

    fn is_for_ldap(&self, answer: LdapAnswer<'_>) -> bool {
        self.status.is_none()
            && self.scim_type.is_none()
            && self.code.is_none_or(|code| code == answer.code)
    }
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!(
            "`detail_regex` has {} bytes, {PATTERN_BYTES_MAX} are allowed",
            pattern.len()
        ));
    }
    self::pattern(pattern).map_err(|error| format!("`detail_regex` cannot be used: {error}"))
}

/// A pattern of an administrator, compiled within bounds; upper and lower case are alike.
///
/// Errors: it is no regular expression, or takes more memory than a rule may.
pub fn pattern(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).case_insensitive(true).size_limit(PATTERN_MEMORY_BYTES_MAX).build()
}

/// The beginning of a text, cut between characters.
fn looked_at(detail: &str) -> &str {
    &detail[..detail.floor_char_boundary(DETAIL_BYTES_MAX)]
}

#[cfg(test)]
mod tests;

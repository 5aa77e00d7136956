//! Where passwords are set, and how.

use kakehi_engine::password::Category;
use kakehi_password::target::DeliverAs;

use super::super::check::{Bounds, within};
use super::super::finding::Findings;
use super::super::raw::password::{
    CategoryRaw, ClassifyRaw, FindRaw, PasswordTargetRaw, ResultRaw, StyleRaw,
};
use super::super::source::{self, Ldap};
use super::super::yaml;
use super::Around;

/// Users worked on at once (password.md 9).
pub const CONCURRENCY: Bounds<u32> = Bounds { default: 4, min: 1, max: 256 };
/// Requests in a second: a ceiling for servers that want one.
pub const PER_SECOND: Bounds<u32> = Bounds { default: 10_000, min: 1, max: 1_000_000 };
/// How a password may go out: as it is, or as a hash that the target takes.
pub const DELIVER_AS: [&str; 3] = DeliverAs::NAMES;

const NO_SUCH_TARGET: &str = "K0270";
const WRONG_STYLE: &str = "K0271";
const BAD_FORM: &str = "K0272";
const NAME_TAKEN: &str = "K0273";
const BAD_PATTERN: &str = "K0274";

pub struct PasswordTarget {
    pub display_name: Option<String>,
    /// The source's attribute; `None`: the login name that the agent tells.
    pub match_source: Option<String>,
    pub match_target: String,
    pub find: Find,
    pub style: Style,
    /// One of [`DELIVER_AS`].
    pub deliver_as: String,
    pub charset: String,
    pub length_min: Option<u32>,
    pub length_max: Option<u32>,
    pub classify: Vec<Classify>,
    pub concurrency: u32,
    pub per_second: u32,
    pub at: At,
    system: Option<String>,
}

/// Which system it is.
pub enum At {
    /// The target of the same name.
    Scim,
    Ldap(Box<Ldap>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    Always,
    Cached,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    PatchPath,
    PatchValue,
    Put,
    UnicodePwd,
    Exop,
    UserPassword,
}

/// What an answer means, by an administrator's word.
#[derive(Clone, Debug)]
pub struct Classify {
    pub status: Option<u16>,
    pub scim_type: Option<String>,
    pub detail_regex: Option<String>,
    pub result: Verdict,
    /// `None`: what the text says to those who know servers.
    pub category: Option<Category>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Ok,
    Rejected,
    NotFound,
    Ambiguous,
    Refused,
    Unavailable,
    Uncertain,
}

// === impl PasswordTarget ===

impl PasswordTarget {
    /// The source that is the same system.
    pub fn system(&self) -> Option<&str> {
        self.system.as_deref()
    }
}

// === impl Style ===

impl Style {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PatchPath => "patch_path",
            Self::PatchValue => "patch_value",
            Self::Put => "put",
            Self::UnicodePwd => "unicode_pwd",
            Self::Exop => "exop",
            Self::UserPassword => "user_password",
        }
    }

    fn is_of_directories(self) -> bool {
        matches!(self, Self::UnicodePwd | Self::Exop | Self::UserPassword)
    }
}

impl From<StyleRaw> for Style {
    fn from(raw: StyleRaw) -> Self {
        match raw {
            StyleRaw::PatchPath => Self::PatchPath,
            StyleRaw::PatchValue => Self::PatchValue,
            StyleRaw::Put => Self::Put,
            StyleRaw::UnicodePwd => Self::UnicodePwd,
            StyleRaw::Exop => Self::Exop,
            StyleRaw::UserPassword => Self::UserPassword,
        }
    }
}

pub(super) fn target(
    name: &yaml::At<String>,
    raw: PasswordTargetRaw,
    around: &Around<'_>,
    findings: &mut Findings,
) -> PasswordTarget {
    let key = format!("password.targets.{}", name.value);
    let style = style(&key, &raw, findings);
    let at = match raw.ldap {
        Some(ldap) => {
            if around.targets.contains(&name.value) {
                findings
                    .error(NAME_TAKEN, format_args!("`{}` is a SCIM target already", name.value))
                    .at(name.mark)
                    .what(format!("key `{key}`"))
                    .hint("give the directory a name of its own");
            }
            At::Ldap(Box::new(source::ldap(
                &key,
                *ldap,
                around.folder,
                around.credentials,
                findings,
            )))
        }
        None => {
            if !around.targets.contains(&name.value) {
                findings
                    .error(NO_SUCH_TARGET, format_args!("there is no target `{}`", name.value))
                    .at(name.mark)
                    .what(format!("key `{key}`"))
                    .hint_nearest(&name.value, around.targets.iter().map(String::as_str));
            }
            At::Scim
        }
    };
    let login = match at {
        At::Scim => "userName",
        At::Ldap(_) => "uid",
    };
    let plain = raw.deliver_as.as_ref().map_or(DELIVER_AS[0], |form| form.value.as_str());
    if let (Some(form), false) = (&raw.deliver_as, DELIVER_AS.contains(&plain)) {
        findings
            .error(BAD_FORM, format_args!("passwords cannot go out as `{}`", form.value))
            .at(form.mark)
            .what(format!("key `{key}.deliver_as`"))
            .hint_nearest(&form.value, DELIVER_AS);
    }
    PasswordTarget {
        deliver_as: plain.to_owned(),
        display_name: raw.display_name,
        match_source: raw.matching.source,
        match_target: raw.matching.target.unwrap_or_else(|| login.to_owned()),
        find: match raw.find {
            Some(FindRaw::Cached) => Find::Cached,
            Some(FindRaw::Always) | None => Find::Always,
        },
        style,
        charset: raw.charset.map_or_else(|| "any".to_owned(), |charset| charset.value),
        length_min: raw.length.min,
        length_max: raw.length.max,
        classify: raw
            .classify
            .into_iter()
            .filter_map(|rule| classify(&key, rule, findings))
            .collect(),
        concurrency: within(findings, &format!("{key}.concurrency"), raw.concurrency, &CONCURRENCY),
        per_second: within(findings, &format!("{key}.per_second"), raw.per_second, &PER_SECOND),
        at,
        system: raw.system.map(|system| system.value),
    }
}

fn style(key: &str, raw: &PasswordTargetRaw, findings: &mut Findings) -> Style {
    let directory = raw.ldap.is_some();
    let default = if directory { Style::Exop } else { Style::PatchPath };
    let Some(written) = &raw.style else { return default };
    let style = Style::from(written.value);
    if style.is_of_directories() != directory {
        let (what, known) = match directory {
            true => ("a directory", "`unicode_pwd`, `exop` and `user_password`"),
            false => ("a SCIM service", "`patch_path`, `patch_value` and `put`"),
        };
        findings
            .error(WRONG_STYLE, format_args!("{what} has no style `{}`", style.as_str()))
            .at(written.mark)
            .what(format!("key `{key}.style`"))
            .hint(format!("there are {known}"));
    }
    style
}

fn classify(key: &str, raw: yaml::At<ClassifyRaw>, findings: &mut Findings) -> Option<Classify> {
    let yaml::At { value: raw, mark } = raw;
    if let Some(pattern) = &raw.detail_regex
        && let Err(error) = kakehi_password::classify::pattern(pattern)
    {
        findings
            .error(BAD_PATTERN, format_args!("`{pattern}` is no regular expression: {error}"))
            .at(mark)
            .what(format!("key `{key}.classify`"));
        return None;
    }
    Some(Classify {
        status: raw.status,
        scim_type: raw.scim_type,
        detail_regex: raw.detail_regex,
        result: match raw.result {
            ResultRaw::Ok => Verdict::Ok,
            ResultRaw::Rejected => Verdict::Rejected,
            ResultRaw::NotFound => Verdict::NotFound,
            ResultRaw::Ambiguous => Verdict::Ambiguous,
            ResultRaw::Refused => Verdict::Refused,
            ResultRaw::Unavailable => Verdict::Unavailable,
            ResultRaw::Uncertain => Verdict::Uncertain,
        },
        category: raw.category.map(|category| match category {
            CategoryRaw::TooShort => Category::TooShort,
            CategoryRaw::Complexity => Category::Complexity,
            CategoryRaw::History => Category::History,
            CategoryRaw::Charset => Category::Charset,
            CategoryRaw::Blocklisted => Category::Blocklisted,
            CategoryRaw::Other => Category::Other,
        }),
    })
}

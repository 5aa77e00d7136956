//! The neutral form of a synchronization rule: every reader makes it, every writer takes it.

use std::fmt;

/// Identifiers that stand for none.
pub const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

/// One rule as it was exported, nothing interpreted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub origin: Origin,
    /// GUID in lower case, without braces; so are all identifiers.
    pub id: String,
    pub internal_id: Option<String>,
    pub version: Option<String>,
    pub name: String,
    pub description: String,
    /// Empty for rules that customers wrote.
    pub immutable_tag: String,
    pub direction: Direction,
    pub disabled: bool,
    pub connector: String,
    pub source_type: String,
    pub target_type: String,
    pub link: LinkType,
    pub precedence: u32,
    pub precedence_after: String,
    pub precedence_before: String,
    /// A time span such as `00:00:00`.
    pub soft_delete: String,
    pub password_sync: bool,
    /// In their order; an attribute may be written by several.
    pub flows: Vec<Flow>,
    /// Groups of clauses.
    pub scope: Vec<Vec<ScopeClause>>,
    /// Groups of pairs.
    pub join: Vec<Vec<JoinClause>>,
    /// Parts of the export that this program does not know.
    pub unknown: Vec<String>,
}

/// Where a rule was read. It says nothing of what the rule does, so all origins are equal.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub file: String,
    pub line: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    Inbound,
    Outbound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    Join,
    StickyJoin,
    Provision,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    pub to: String,
    pub source: FlowSource,
    pub merge: MergeType,
    /// Only when the target object is created.
    pub once: bool,
    /// How the XML says so, where it says it in other words than `True` or by being silent.
    pub once_as: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowSource {
    /// One attribute; more than one is a broken flow, kept as it is.
    Direct(Vec<String>),
    Constant(String),
    Expression {
        text: String,
        /// What the export says it reads.
        listed: Vec<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeType {
    Update,
    Replace,
    Merge,
    MergeCaseInsensitive,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeClause {
    pub attribute: String,
    /// As written, but `ISBITNOTSET` for `ISNOTBITSET` (C4).
    pub operator: String,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinClause {
    pub cs: String,
    pub mv: String,
    pub case_sensitive: bool,
}

// === impl Origin ===

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

/// Makes one enum of words readable and writable by the words of the exports.
macro_rules! words {
    ($kind:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $kind {
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// Reads the word of an export, whatever its case.
            pub fn from_word(word: &str) -> Option<Self> {
                $(if word.eq_ignore_ascii_case($word) {
                    return Some(Self::$variant);
                })*
                None
            }

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),*
                }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(Direction { Inbound = "Inbound", Outbound = "Outbound" });
words!(LinkType { Join = "Join", StickyJoin = "StickyJoin", Provision = "Provision" });
words!(MergeType {
    Update = "Update",
    Replace = "Replace",
    Merge = "Merge",
    MergeCaseInsensitive = "MergeCaseInsensitive",
});

/// Operators of scope clauses by their names in the field.
pub const OPERATORS: [&str; 20] = [
    "EQUAL",
    "NOTEQUAL",
    "LESSTHAN",
    "LESSTHAN_OR_EQUAL",
    "GREATERTHAN",
    "GREATERTHAN_OR_EQUAL",
    "CONTAINS",
    "NOTCONTAINS",
    "STARTSWITH",
    "NOTSTARTSWITH",
    "ENDSWITH",
    "NOTENDSWITH",
    "ISNULL",
    "ISNOTNULL",
    "ISIN",
    "ISNOTIN",
    "ISBITSET",
    "ISBITNOTSET",
    "ISMEMBEROF",
    "ISNOTMEMBEROF",
];

/// Those that take no value.
pub const WITHOUT_VALUE: [&str; 2] = ["ISNULL", "ISNOTNULL"];

/// The operator as it is written from now on: exports know two spellings of one (C4).
pub fn operator(word: &str) -> String {
    let word = word.trim().to_ascii_uppercase();
    if word == "ISNOTBITSET" { "ISBITNOTSET".to_owned() } else { word }
}

/// A GUID in lower case without braces. `None` where the text is no GUID.
pub fn guid(text: &str) -> Option<String> {
    let text = text.trim();
    let bare = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let groups: Vec<&str> = bare.split('-').collect();
    let hex = |text: &&str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let right = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]);
    (right && groups.iter().all(hex)).then(|| bare.to_ascii_lowercase())
}

/// `True` and `False` in any case, and the digits that XML has for them.
pub fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        text if text == "1" || text.eq_ignore_ascii_case("true") => Some(true),
        text if text == "0" || text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

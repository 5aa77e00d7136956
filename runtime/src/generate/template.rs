//! The rules of the default set as they are in the program: a name and what fills it flow in, the
//! whole text of a rule and of its cases flows out.

use super::{Kind, MEMBERS_MAX, Matching};

/// Pieces of text that several rules share.
const PARTS: &str = include_str!("templates/parts.yml");
/// Begins a piece.
const PART: &str = "#: ";
/// Stands for a piece.
const USE: &str = "#+ ";

/// A rule of the default set.
pub(super) struct Template {
    /// Its name among the templates, and at the end of its file.
    name: &'static str,
    text: &'static str,
    cases: &'static str,
    from: &'static str,
    members: &'static str,
    /// The word for the object type in its name, where the rule stands for one of another type,
    /// and that other word.
    like: Option<(&'static str, &'static str)>,
}

/// What stands in place of the blanks of a template.
#[derive(Clone, Debug)]
pub(super) struct Filling {
    blanks: Vec<(&'static str, String)>,
    contacts: bool,
}

/// A rule and its cases, complete.
pub(super) struct Filled {
    pub text: String,
    pub cases: String,
}

macro_rules! rule {
    ($name:literal, $from:literal) => {
        rule!($name, $from, "")
    };
    ($name:literal, $from:literal, cases) => {
        rule!($name, $from, include_str!(concat!("templates/cases/", $name, ".yml")))
    };
    ($name:literal, $from:literal, $cases:expr) => {
        Template {
            name: $name,
            text: include_str!(concat!("templates/", $name, ".yml")),
            cases: $cases,
            from: $from,
            members: "member",
            like: None,
        }
    };
}

/// The same rule for accounts of the class inetOrgPerson, which Active Directory treats alike.
const fn also(template: Template) -> Template {
    Template { from: "inetOrgPerson", like: Some(("User", "InetOrgPerson")), ..template }
}

const fn unique(template: Template) -> Template {
    Template { members: "uniqueMember", ..template }
}

/// In order of precedence inside their groups, sources before targets.
pub(super) const TEMPLATES: &[Template] = &[
    rule!("ad-user-join", "user", cases),
    also(rule!("ad-user-join", "user", cases)),
    rule!("ad-user-account-enabled", "user", cases),
    also(rule!("ad-user-account-enabled", "user", cases)),
    rule!("ad-user-common-from-exchange", "user", cases),
    also(rule!("ad-user-common-from-exchange", "user", cases)),
    rule!("ad-user-common", "user", cases),
    also(rule!("ad-user-common", "user", cases)),
    rule!("ad-user-exchange", "user"),
    also(rule!("ad-user-exchange", "user")),
    rule!("ad-user-lync", "user"),
    also(rule!("ad-user-lync", "user")),
    rule!("ad-group-join", "group", cases),
    rule!("ad-group-exchange", "group"),
    rule!("ad-group-common", "group", cases),
    rule!("ad-contact-join", "contact", cases),
    rule!("ad-contact-common", "contact", cases),
    rule!("ad-contact-lync", "contact"),
    rule!("ad-foreign-security-principal-join", "foreignSecurityPrincipal"),
    rule!("ldap-user-join", "inetOrgPerson"),
    rule!("ldap-user-account-enabled", "inetOrgPerson", cases),
    rule!("ldap-user-common", "inetOrgPerson", cases),
    rule!("ldap-group-join", "groupOfNames"),
    unique(rule!("ldap-unique-group-join", "groupOfUniqueNames")),
    rule!("ldap-group-common", "groupOfNames", cases),
    unique(rule!("ldap-unique-group-common", "groupOfUniqueNames", cases)),
    rule!("scim-user-join", "person", cases),
    rule!("scim-user-common", "person"),
    rule!("scim-user-exchange", "person"),
    rule!("scim-user-lync", "person", cases),
    rule!("scim-contact-join", "person", cases),
    rule!("scim-contact-common", "person"),
    rule!("scim-group-join", "group", cases),
    rule!("scim-group-common", "group"),
];

/// Every group of rules, the strongest first: the order in which the templates name them.
pub(super) fn groups() -> Vec<&'static str> {
    let mut groups = vec![];
    for template in TEMPLATES {
        let named = template.text.lines().find_map(|line| line.strip_prefix("    group: "));
        if let Some(group) = named.filter(|group| !groups.contains(group)) {
            groups.push(group);
        }
    }
    groups
}

// === impl Template ===

impl Template {
    pub fn is_for(&self, kind: Kind) -> bool {
        let wanted = if kind == Kind::Ad { "ad-" } else { "ldap-" };
        self.name.starts_with(wanted)
    }

    pub fn is_outbound(&self) -> bool {
        self.name.starts_with("scim-")
    }

    /// The object type that it reads.
    pub fn class(&self) -> &'static str {
        self.from
    }

    /// The name of its file, after the rule of the predecessor: `in-from-ad-user-join.yml`.
    pub fn path(&self, kind: Kind) -> String {
        let (way, name) = match self.name.split_once('-') {
            Some(("scim", name)) => ("out-to-scim", name),
            Some((_, name)) => match kind {
                Kind::Ad => ("in-from-ad", name),
                Kind::OpenLdap => ("in-from-openldap", name),
                Kind::Ldap => ("in-from-ldap", name),
            },
            None => ("rule", self.name),
        };
        match self.like {
            Some((from, to)) => {
                let (from, to) = (from.to_lowercase(), to.to_lowercase());
                format!("{way}-{}.yml", name.replacen(&from, &to, 1))
            }
            None => format!("{way}-{name}.yml"),
        }
    }

    /// The whole rule, for a directory that has everything.
    pub fn fill(&self, filling: &Filling) -> Filled {
        let mut text = String::new();
        for line in self.text.lines() {
            expand(line, filling, &mut text);
        }
        if let Some((from, to)) = self.like {
            let named = |word: &str| format!(" - {word} ");
            text = text.replacen(&named(from), &named(to), 1);
            let class = format!("    from: {}\n", self.from);
            text = text.replacen("    from: user\n", &class, 1);
            let header = format!("# As for `user`, for accounts of the class `{}`.\n", self.from);
            text = with_header(&text, &header);
        }
        if filling.contacts {
            text = text.replacen("    enabled: false\n", "", 1);
        }
        let fill = |text: &str| {
            let text = text.replace("{{members}}", self.members);
            filling.blanks.iter().fold(text, |text, (blank, with)| text.replace(blank, with))
        };
        Filled { text: fill(&text), cases: fill(self.cases) }
    }
}

/// Appends a line, or what it stands for.
fn expand(line: &str, filling: &Filling, into: &mut String) {
    match line.strip_prefix(USE) {
        None => {
            into.push_str(line);
            into.push('\n');
        }
        Some("match") => filling.part("{{match}}", into),
        Some("match-flows") => filling.part("{{match-flows}}", into),
        Some(name) => part(name, filling, into),
    }
}

fn part(name: &str, filling: &Filling, into: &mut String) {
    let of_part = PARTS.lines().skip_while(|line| line.strip_prefix(PART) != Some(name)).skip(1);
    for line in of_part.take_while(|line| !line.is_empty()) {
        expand(line, filling, into);
    }
}

/// The text with another comment before its first key.
fn with_header(text: &str, header: &str) -> String {
    let start = text.find("rules:\n").unwrap_or(0);
    format!("{header}{}", &text[start..])
}

// === impl Filling ===

impl Filling {
    pub fn new(kind: Kind, anchor: &str, matching: &Matching) -> Self {
        let by = match (matching, kind) {
            (Matching::Mail, _) => "join-mail",
            (Matching::Custom(_), _) => "join-custom",
            (Matching::ObjectSid, Kind::Ad) => "join-objectSid",
            (Matching::SamAccountName, Kind::Ad) => "join-samAccountName",
            (Matching::ObjectSid | Matching::SamAccountName, _) => "join-ldap",
        };
        let mut flows = match by {
            "join-objectSid" => "",
            _ => "anchor-flow",
        }
        .to_owned();
        let custom = match matching {
            Matching::Custom(attribute) => attribute.as_str(),
            _ => "",
        };
        if !custom.is_empty() && !writes(kind, custom) {
            flows.push_str(" custom-flow");
        }
        let blanks = vec![
            ("{{match}}", by.to_owned()),
            ("{{match-flows}}", flows),
            ("{{family}}", kind.title().to_owned()),
            ("{{kind}}", kind.word().to_owned()),
            ("{{anchor}}", anchor.to_owned()),
            ("{{custom}}", custom.to_owned()),
            ("{{members_max}}", MEMBERS_MAX.to_string()),
        ];
        Self { blanks, contacts: false }
    }

    pub fn outbound(contacts: bool) -> Self {
        Self { blanks: vec![("{{members_max}}", MEMBERS_MAX.to_string())], contacts }
    }

    /// Appends the pieces that a blank names.
    fn part(&self, blank: &str, into: &mut String) {
        let named = self.blanks.iter().find(|(known, _)| *known == blank);
        for name in named.into_iter().flat_map(|(_, names)| names.split_whitespace()) {
            part(name, self, into);
        }
    }
}

/// Whether some rule for people of this kind writes the attribute anyway.
fn writes(kind: Kind, attribute: &str) -> bool {
    let filling = Filling { blanks: vec![], contacts: false };
    let people = |template: &&Template| ["user", "inetOrgPerson"].contains(&template.from);
    TEMPLATES.iter().filter(|template| template.is_for(kind)).filter(people).any(|template| {
        let text = template.fill(&filling).text;
        text.contains(&format!("{{to: {attribute},"))
            || text.contains(&format!("- to: {attribute}\n"))
    })
}

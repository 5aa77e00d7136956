//! Rules for a new installation: what directories say that they hold flows in; a manifest, a file
//! per rule and its test cases flow out (R4, R18, R36 to R39).
//!
//! The rules are templates in the program, one for each rule of the default set, complete. Here
//! they are only cut down: to the classes and attributes that a directory has (`cut`), and to the
//! connectors that share them. `rules/default` is what comes out for the schemas beside it.

mod cut;
mod manifest;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use self::cut::{Holding, Piece};
use self::template::{Filling, TEMPLATES, Template};
use crate::edge::SourceSchema;

/// Largest group that the rules let pass: the limit of the service that the set was made for.
pub const MEMBERS_MAX: usize = 50_000;

/// Longest NetBIOS name (MS-ADTS 6.1.6.9.3.1, `flatName`).
const NETBIOS_CHARS_MAX: usize = 15;

/// What rules are wanted for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// In the order in which they were added; at least one.
    pub directories: Vec<Directory>,
    /// The connector that they are delivered to.
    pub target: String,
    pub matching: Matching,
    /// Whether contacts become users that cannot sign in.
    pub contacts_as_users: bool,
}

/// A directory that objects come from.
#[derive(Clone, Debug)]
pub struct Directory {
    pub name: String,
    pub kind: Kind,
    pub schema: SourceSchema,
    /// Its DNS name, which stands in sign-in names of accounts that have none.
    pub domain: String,
}

/// Which rules are for a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Ad,
    OpenLdap,
    /// Any directory whose people are `inetOrgPerson`.
    Ldap,
}

/// How accounts of one person find each other (R18).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matching {
    /// By `objectSid`, and `msExchMasterAccountSid` of resource forests.
    ObjectSid,
    Mail,
    SamAccountName,
    /// By an attribute of this name.
    Custom(String),
}

/// A file of the result, below its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub path: String,
    pub text: String,
}

/// Why there are no rules.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    #[error("`{}` is not empty", .0.display())]
    NotEmpty(PathBuf),
    #[error("`{connector}` has no attribute `{attribute}` to match accounts by")]
    NoMatch { connector: String, attribute: String, near: Option<String> },
    #[error("`{connector}` has no attribute that identifies an object for ever")]
    NoAnchor { connector: String, wanted: Vec<&'static str> },
    #[error("`{connector}` has none of the classes that the rules are about")]
    NoClass { connector: String, wanted: Vec<&'static str> },
    #[error("the connector `{0}` is named twice")]
    Doubled(String),
    #[error("cannot write `{}`: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

// === impl Kind ===

impl Kind {
    pub const ALL: [Self; 3] = [Self::Ad, Self::OpenLdap, Self::Ldap];

    /// Its word in the manifest and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ad => "ad",
            Self::OpenLdap => "openldap",
            Self::Ldap => "ldap",
        }
    }

    /// What a directory most likely is.
    pub fn of(schema: &SourceSchema) -> Self {
        let user = Holding::of(schema, "user");
        if user.is_some_and(|user| user.has("sAMAccountName") || user.has("objectSid")) {
            Self::Ad
        } else if schema.attributes.keys().any(|name| name.eq_ignore_ascii_case("entryCSN")) {
            Self::OpenLdap
        } else {
            Self::Ldap
        }
    }

    /// In names of rules.
    fn title(self) -> &'static str {
        match self {
            Self::Ad => "AD",
            Self::OpenLdap => "OpenLDAP",
            Self::Ldap => "LDAP",
        }
    }

    /// What identifies an object for ever, the best first. A 389 Directory Server may begin to keep
    /// `entryUUID` at any time; anchors must not change with that.
    fn anchors(self) -> &'static [&'static str] {
        match self {
            Self::Ad => &["objectGUID", "entryUUID"],
            Self::OpenLdap => &["entryUUID"],
            Self::Ldap => &["nsUniqueId", "entryUUID"],
        }
    }

    /// The classes of which a directory has at least one.
    fn classes(self) -> &'static [&'static str] {
        match self {
            Self::Ad => &["user", "inetOrgPerson", "group", "contact"],
            Self::OpenLdap | Self::Ldap => &["inetOrgPerson", "groupOfNames", "groupOfUniqueNames"],
        }
    }
}

// === impl Directory ===

impl Directory {
    /// What the parameters of the rules stand for at this directory.
    fn parameters(&self) -> Vec<(&'static str, String)> {
        if self.kind != Kind::Ad {
            return vec![];
        }
        let label = self.domain.split('.').next().unwrap_or_default();
        let netbios: String = label.to_uppercase().chars().take(NETBIOS_CHARS_MAX).collect();
        vec![
            ("Domain.FQDN", self.domain.clone()),
            ("Domain.Netbios", netbios.clone()),
            ("Forest.FQDN", self.domain.clone()),
            ("Forest.Netbios", netbios),
        ]
    }

    /// Whether some class that people have has the attribute.
    fn has(&self, attribute: &str) -> bool {
        let people = ["user", "inetOrgPerson"];
        people.iter().filter_map(|class| Holding::of(&self.schema, class)).any(|c| c.has(attribute))
    }

    /// The values that fill this directory's templates. Errors: what they cannot do without is
    /// not there.
    fn filling(&self, matching: &Matching) -> Result<Filling, GenerateError> {
        let connector = || self.name.clone();
        let known = |class: &&&str| Holding::of(&self.schema, class).is_some();
        if self.kind.classes().iter().find(known).is_none() {
            let wanted = self.kind.classes().to_vec();
            return Err(GenerateError::NoClass { connector: connector(), wanted });
        }
        let anchors = self.kind.anchors();
        let holds = |name: &&&str| {
            self.schema.classes.keys().any(|class| {
                Holding::of(&self.schema, class).is_some_and(|holding| holding.has(name))
            })
        };
        let Some(anchor) = anchors.iter().find(holds) else {
            return Err(GenerateError::NoAnchor {
                connector: connector(),
                wanted: anchors.to_vec(),
            });
        };
        let matched = match (matching, self.kind) {
            (Matching::ObjectSid, Kind::Ad) => Some("objectSid"),
            (Matching::SamAccountName, Kind::Ad) => Some("sAMAccountName"),
            (Matching::Mail, _) => Some("mail"),
            (Matching::Custom(attribute), _) => Some(attribute.as_str()),
            (Matching::ObjectSid | Matching::SamAccountName, _) => None,
        };
        match matched.filter(|attribute| !self.has(attribute)) {
            Some(attribute) => {
                let classes = self.schema.classes.values().flatten().map(String::as_str);
                let near = crate::config::nearest::nearest(attribute, classes);
                let (attribute, near) = (attribute.to_owned(), near.map(str::to_owned));
                Err(GenerateError::NoMatch { connector: connector(), attribute, near })
            }
            None => Ok(Filling::new(self.kind, anchor, matching)),
        }
    }
}

/// Makes the rules.
///
/// Gives: the files, the manifest first. Errors: before anything is written.
pub fn generate(wish: &Wish) -> Result<Vec<File>, GenerateError> {
    let mut names = BTreeSet::from([wish.target.as_str()]);
    if let Some(twice) = wish.directories.iter().find(|found| !names.insert(&found.name)) {
        return Err(GenerateError::Doubled(twice.name.clone()));
    }
    let mut fillings = vec![];
    for directory in &wish.directories {
        fillings.push(directory.filling(&wish.matching)?);
    }
    let mut set = Set { wish, fillings, rules: vec![], metaverse: BTreeMap::new() };
    for kind in Kind::ALL {
        for template in TEMPLATES.iter().filter(|template| template.is_for(kind)) {
            set.inbound(template, kind);
        }
    }
    for template in TEMPLATES.iter().filter(|template| template.is_outbound()) {
        set.outbound(template);
    }
    Ok(set.files())
}

/// Writes files into a folder that does not exist yet, or is empty.
pub fn write(folder: &Path, files: &[File]) -> Result<(), GenerateError> {
    let failed = |path: &Path, source| GenerateError::Io { path: path.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let mut entries = std::fs::read_dir(folder).map_err(|error| failed(folder, error))?;
    if entries.next().is_some() {
        return Err(GenerateError::NotEmpty(folder.to_owned()));
    }
    for file in files {
        let path = folder.join(&file.path);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        std::fs::write(&path, &file.text).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// The rules so far.
struct Set<'a> {
    wish: &'a Wish,
    /// One for each directory.
    fillings: Vec<Filling>,
    rules: Vec<Made>,
    /// What the inbound rules write, by metaverse type.
    metaverse: BTreeMap<String, BTreeSet<String>>,
}

/// A rule's file and the files of its test cases.
struct Made {
    group: String,
    file: File,
    cases: Vec<File>,
}

// === impl Set ===

impl Set<'_> {
    fn inbound(&mut self, template: &Template, kind: Kind) {
        let directories = self.wish.directories.iter().zip(&self.fillings);
        let pieces: Vec<(&str, Option<Piece>)> = directories
            .filter(|(directory, _)| directory.kind == kind)
            .map(|(directory, filling)| {
                let holding = Holding::of(&directory.schema, template.class());
                let piece = holding.and_then(|holding| cut::cut(&template.fill(filling), &holding));
                (directory.name.as_str(), piece)
            })
            .collect();
        for piece in pieces.iter().filter_map(|(_, piece)| piece.as_ref()) {
            let class = self.metaverse.entry(piece.to.clone()).or_default();
            class.extend(piece.writes.iter().cloned());
        }
        let Some(first) = pieces.iter().find_map(|(_, piece)| piece.clone()) else { return };
        // `ldap` would mean every connector that speaks LDAP, those of the other kinds too.
        let shared =
            kind != Kind::Ldap && pieces.iter().all(|(_, piece)| piece.as_ref() == Some(&first));
        let path = template.path(kind);
        let made = if shared {
            Made::shared(&path, &first)
        } else {
            let present = pieces.iter().filter_map(|(name, piece)| Some((*name, piece.as_ref()?)));
            Made::apart(&path, &present.collect::<Vec<_>>())
        };
        self.rules.push(made);
    }

    fn outbound(&mut self, template: &Template) {
        let Some(written) = self.metaverse.get(template.class()) else { return };
        let filling = Filling::outbound(self.wish.contacts_as_users);
        if let Some(piece) = cut::cut(&template.fill(&filling), &Holding::of_metaverse(written)) {
            self.rules.push(Made::shared(&template.path(Kind::Ad), &piece));
        }
    }

    fn files(mut self) -> Vec<File> {
        let order = template::groups();
        let place = |group: &str| order.iter().position(|known| *known == group);
        self.rules.sort_by_key(|made| place(&made.group));
        let mut groups: Vec<&str> = self.rules.iter().map(|made| made.group.as_str()).collect();
        groups.dedup();
        let include: Vec<&str> = self.rules.iter().map(|made| made.file.path.as_str()).collect();
        let text = manifest::text(self.wish, &groups, &include);
        let mut files = vec![File { path: "manifest.yml".to_owned(), text }];
        for made in self.rules {
            files.push(made.file);
            files.extend(made.cases);
        }
        files
    }
}

// === impl Made ===

impl Made {
    /// One rule for all connectors of its kind.
    fn shared(path: &str, piece: &Piece) -> Self {
        let cases = format!("cases/{path}");
        let text = piece.text(None, &cases);
        Self {
            group: piece.group.clone(),
            file: File { path: path.to_owned(), text: format!("{}rules:\n{text}", piece.header) },
            cases: piece.cases_file(&cases).into_iter().collect(),
        }
    }

    /// A rule of the same name for each connector, in their order; at least one.
    fn apart(path: &str, pieces: &[(&str, &Piece)]) -> Self {
        let stem = path.trim_end_matches(".yml");
        let mut rules = vec![];
        let mut cases: Vec<File> = vec![];
        for (connector, piece) in pieces {
            let path = format!("cases/{stem}.{connector}.yml");
            rules.push(piece.text(Some(connector), &path));
            cases.extend(piece.cases_file(&path));
        }
        let (header, group) =
            pieces.first().map(|(_, piece)| (&*piece.header, &*piece.group)).unwrap_or_default();
        Self {
            group: group.to_owned(),
            file: File {
                path: path.to_owned(),
                text: format!("{header}rules:\n{}", rules.join("\n")),
            },
            cases,
        }
    }
}

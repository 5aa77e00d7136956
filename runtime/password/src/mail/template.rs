//! The words of mails: template files and values flow in, subject and body flow out.
//!
//! A template is a text file: `Subject: ...`, an empty line, the body. `{name}` stands for a value;
//! braces themselves are written twice. Shipped templates are compiled in; a file of the same name
//! in a folder of the administrator takes the place of one. Values are one line each and of limited
//! length, so none can pass for a part of the template.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::text::single_line;
use super::{Kind, Recipient};

/// Largest template file: a mail of a few pages.
const TEMPLATE_BYTES_MAX: u64 = 64 * 1024;

/// Most characters of a value.
const VALUE_CHARS_MAX: usize = 120;

/// What the name of a template file ends with.
const SUFFIX: &str = ".txt";

/// A mail that there are words for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Form {
    pub kind: Kind,
    pub recipient: Recipient,
}

/// A value that a template can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// Of whom the mail goes to.
    DisplayName,
    /// Of the user it is about.
    Login,
    /// Display name of the target.
    Target,
    CategoryJa,
    CategoryEn,
    WhatToDoJa,
    WhatToDoEn,
    /// When the cached password expires, with zone; or that it does not.
    ExpiresJa,
    ExpiresEn,
    /// When it happened, with zone.
    Happened,
    ContactJa,
    ContactEn,
    Product,
}

/// Values by name. What is missing is written as `-`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    values: BTreeMap<Field, String>,
}

/// A filled-in template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    pub subject: String,
    pub body: String,
}

/// The words of every mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates {
    by_form: BTreeMap<Form, Template>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Template {
    subject: Vec<Piece>,
    body: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field),
}

/// Everything that is wrong with a folder of templates, file by file.
#[derive(Debug, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct TemplateErrors(pub Vec<TemplateError>);

/// What is wrong with one template, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {fault}", path.display(), place(*line))]
pub struct TemplateError {
    pub path: PathBuf,
    /// Counted from 1; `None`: the file as a whole.
    pub line: Option<usize>,
    pub fault: TemplateFault,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFault {
    #[error("cannot read the folder or file: {0}")]
    Unreadable(String),
    #[error("no mail has a template of this name; there are {0}")]
    NoSuchForm(String),
    #[error("larger than {TEMPLATE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("not UTF-8: save the file as UTF-8")]
    NotText,
    #[error("the first line must be `Subject: ...`, the second one empty")]
    NoSubject,
    #[error("nothing stands below the subject")]
    NoBody,
    #[error("unknown field `{{{name}}}`; this mail has {known}")]
    UnknownField { name: String, known: String },
    #[error("the field `{{{0}}}` is missing: without it nobody can tell what the mail is about")]
    MissingField(&'static str),
    #[error("`{{` without `}}` on the same line; a brace itself is written `{{{{`")]
    Unclosed,
    #[error("`}}` without `{{`; a brace itself is written `}}}}`")]
    Unopened,
}

/// The shipped words: mail, name of its file, text.
const SHIPPED: [(Form, &str, &str); 9] = [
    (Form::user(Kind::Rejected), "rejected", include_str!("templates/rejected.txt")),
    (Form::user(Kind::Expired), "expired", include_str!("templates/expired.txt")),
    (Form::admins(Kind::Expired), "expired-admin", include_str!("templates/expired-admin.txt")),
    (Form::user(Kind::MaxRetries), "max_retries", include_str!("templates/max_retries.txt")),
    (
        Form::admins(Kind::MaxRetries),
        "max_retries-admin",
        include_str!("templates/max_retries-admin.txt"),
    ),
    (Form::user(Kind::DefaultUsed), "default_used", include_str!("templates/default_used.txt")),
    (
        Form::admins(Kind::DefaultUsed),
        "default_used-admin",
        include_str!("templates/default_used-admin.txt"),
    ),
    (Form::admins(Kind::TargetDown), "target_down", include_str!("templates/target_down.txt")),
    (Form::admins(Kind::Recovered), "recovered", include_str!("templates/recovered.txt")),
];

// === impl Form ===

impl Form {
    pub const fn user(kind: Kind) -> Self {
        Self { kind, recipient: Recipient::User }
    }

    pub const fn admins(kind: Kind) -> Self {
        Self { kind, recipient: Recipient::Admins }
    }

    /// Every mail there is.
    pub fn all() -> impl Iterator<Item = Self> {
        SHIPPED.into_iter().map(|(form, ..)| form)
    }

    /// The name of its template file without `.txt`.
    pub fn name(self) -> Option<&'static str> {
        SHIPPED.into_iter().find(|(form, ..)| *form == self).map(|(_, name, _)| name)
    }

    /// What its template may name.
    fn fields(self) -> Vec<Field> {
        let mut fields = vec![Field::DisplayName, Field::Target, Field::Happened];
        fields.extend([Field::ContactJa, Field::ContactEn, Field::Product]);
        if self.is_of_user() {
            fields.push(Field::Login);
        }
        if matches!(self.kind, Kind::Rejected | Kind::MaxRetries) {
            fields.extend([Field::CategoryJa, Field::CategoryEn]);
            if self.recipient == Recipient::User {
                fields.extend([Field::WhatToDoJa, Field::WhatToDoEn]);
            }
        }
        if self.kind == Kind::Rejected {
            fields.extend([Field::ExpiresJa, Field::ExpiresEn]);
        }
        fields
    }

    /// What its template must name.
    fn required(self) -> &'static [Field] {
        match self.recipient {
            Recipient::Admins if self.is_of_user() => &[Field::Target, Field::Login],
            Recipient::User | Recipient::Admins => &[Field::Target],
        }
    }

    fn is_of_user(self) -> bool {
        !matches!(self.kind, Kind::TargetDown | Kind::Recovered)
    }
}

// === impl Field ===

impl Field {
    const ALL: [Self; 13] = [
        Self::DisplayName,
        Self::Login,
        Self::Target,
        Self::CategoryJa,
        Self::CategoryEn,
        Self::WhatToDoJa,
        Self::WhatToDoEn,
        Self::ExpiresJa,
        Self::ExpiresEn,
        Self::Happened,
        Self::ContactJa,
        Self::ContactEn,
        Self::Product,
    ];

    /// As templates write it, without braces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DisplayName => "display_name",
            Self::Login => "login",
            Self::Target => "target",
            Self::CategoryJa => "category_ja",
            Self::CategoryEn => "category_en",
            Self::WhatToDoJa => "what_to_do_ja",
            Self::WhatToDoEn => "what_to_do_en",
            Self::ExpiresJa => "expires_ja",
            Self::ExpiresEn => "expires_en",
            Self::Happened => "happened",
            Self::ContactJa => "contact_ja",
            Self::ContactEn => "contact_en",
            Self::Product => "product",
        }
    }
}

// === impl Fields ===

impl Fields {
    /// Takes any text: it is made one line of limited length here.
    pub fn set(&mut self, field: Field, value: &str) -> &mut Self {
        self.values.insert(field, single_line(value, VALUE_CHARS_MAX));
        self
    }

    fn get(&self, field: Field) -> &str {
        self.values.get(&field).filter(|value| !value.is_empty()).map_or("-", String::as_str)
    }
}

// === impl Templates ===

impl Templates {
    /// The shipped words alone.
    ///
    /// Errors: none for the files that are compiled in; a test reads them all.
    pub fn shipped() -> Result<Self, TemplateErrors> {
        let mut errors = Vec::new();
        let mut by_form = BTreeMap::new();
        for (form, name, text) in SHIPPED {
            match Template::parse(Path::new(name), form, text) {
                Ok(template) => drop(by_form.insert(form, template)),
                Err(faults) => errors.extend(faults),
            }
        }
        if errors.is_empty() { Ok(Self { by_form }) } else { Err(TemplateErrors(errors)) }
    }

    /// The shipped words, and those of the folder in their place. Only files `*.txt` are looked at.
    ///
    /// Errors: every finding in every file, in order of names; a folder that is not there.
    pub fn load(folder: &Path) -> Result<Self, TemplateErrors> {
        let mut templates = Self::shipped()?;
        let mut errors = Vec::new();
        for path in files(folder).map_err(|error| TemplateErrors(vec![error]))? {
            match read(&path) {
                Ok((form, template)) => drop(templates.by_form.insert(form, template)),
                Err(faults) => errors.extend(faults),
            }
        }
        if errors.is_empty() { Ok(templates) } else { Err(TemplateErrors(errors)) }
    }

    /// `None`: there is no such mail (a target that is down is nothing to tell users).
    pub fn render(&self, form: Form, fields: &Fields) -> Option<Rendered> {
        let template = self.by_form.get(&form)?;
        let subject = fill(&template.subject, fields);
        Some(Rendered { subject, body: fill(&template.body, fields) })
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, TemplateError> {
    let unreadable = |error: std::io::Error| unreadable(folder, &error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.to_string_lossy().ends_with(SUFFIX) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<(Form, Template), Vec<TemplateError>> {
    let whole = |fault| vec![TemplateError { path: path.to_owned(), line: None, fault }];
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.as_deref().and_then(|name| name.strip_suffix(SUFFIX)).unwrap_or_default();
    let Some((form, ..)) = SHIPPED.into_iter().find(|(_, known, _)| *known == name) else {
        let known = SHIPPED.map(|(_, known, _)| format!("`{known}{SUFFIX}`")).join(", ");
        return Err(whole(TemplateFault::NoSuchForm(known)));
    };
    let size = fs::metadata(path).map_err(|error| vec![unreadable(path, &error)])?.len();
    if size > TEMPLATE_BYTES_MAX {
        return Err(whole(TemplateFault::TooLarge));
    }
    let bytes = fs::read(path).map_err(|error| vec![unreadable(path, &error)])?;
    let text = String::from_utf8(bytes).map_err(|_| whole(TemplateFault::NotText))?;
    Ok((form, Template::parse(path, form, &text)?))
}

fn unreadable(path: &Path, error: &std::io::Error) -> TemplateError {
    let fault = TemplateFault::Unreadable(error.to_string());
    TemplateError { path: path.to_owned(), line: None, fault }
}

// === impl Template ===

impl Template {
    /// Errors: everything that is wrong, from top to bottom.
    fn parse(path: &Path, form: Form, text: &str) -> Result<Self, Vec<TemplateError>> {
        let at = |line, fault| TemplateError { path: path.to_owned(), line, fault };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text.lines();
        let subject = lines.next().and_then(|line| line.strip_prefix("Subject:")).map(str::trim);
        let subject = subject.filter(|subject| !subject.is_empty());
        let apart = lines.next().is_some_and(|line| line.trim().is_empty());
        let Some(subject) = subject.filter(|_| apart) else {
            return Err(vec![at(Some(1), TemplateFault::NoSubject)]);
        };
        let mut errors = Vec::new();
        let mut read = |number: usize, line: &str, pieces: &mut Vec<Piece>| {
            if let Err(fault) = pieces_of(form, line, pieces) {
                errors.push(at(Some(number), fault));
            }
        };
        let mut template = Self { subject: Vec::new(), body: Vec::new() };
        read(1, subject, &mut template.subject);
        let mut has_body = false;
        for (number, line) in (3..).zip(lines) {
            has_body |= !line.trim().is_empty();
            read(number, line, &mut template.body);
            template.body.push(Piece::Text("\n".into()));
        }
        if !has_body {
            errors.push(at(None, TemplateFault::NoBody));
        }
        // A field that could not be read would be missed for that alone.
        if errors.is_empty() {
            let missed = form.required().iter().filter(|field| !template.names(**field));
            errors
                .extend(missed.map(|field| at(None, TemplateFault::MissingField(field.as_str()))));
        }
        if errors.is_empty() { Ok(template) } else { Err(errors) }
    }

    fn names(&self, field: Field) -> bool {
        self.subject.iter().chain(&self.body).any(|piece| *piece == Piece::Field(field))
    }
}

/// Cuts one line into text and fields.
fn pieces_of(form: Form, line: &str, pieces: &mut Vec<Piece>) -> Result<(), TemplateFault> {
    let mut rest = line;
    while let Some(brace) = rest.find(['{', '}']) {
        let (text, from_brace) = rest.split_at(brace);
        pieces.push(Piece::Text(text.to_owned()));
        if let Some(after) = from_brace.strip_prefix("{{") {
            pieces.push(Piece::Text("{".into()));
            rest = after;
        } else if let Some(after) = from_brace.strip_prefix("}}") {
            pieces.push(Piece::Text("}".into()));
            rest = after;
        } else if let Some(after) = from_brace.strip_prefix('{') {
            let (name, after) = after.split_once('}').ok_or(TemplateFault::Unclosed)?;
            pieces.push(Piece::Field(field(form, name)?));
            rest = after;
        } else {
            return Err(TemplateFault::Unopened);
        }
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(())
}

fn field(form: Form, name: &str) -> Result<Field, TemplateFault> {
    let fields = form.fields();
    fields.iter().copied().find(|field| field.as_str() == name).ok_or_else(|| {
        let in_order = Field::ALL.iter().filter(|field| fields.contains(field));
        let known: Vec<String> =
            in_order.map(|field| format!("`{{{}}}`", field.as_str())).collect();
        let name = single_line(name, VALUE_CHARS_MAX);
        TemplateFault::UnknownField { name, known: known.join(", ") }
    })
}

fn fill(pieces: &[Piece], fields: &Fields) -> String {
    let mut filled = String::new();
    for piece in pieces {
        filled.push_str(match piece {
            Piece::Text(text) => text,
            Piece::Field(field) => fields.get(*field),
        });
    }
    filled
}

// === Errors ===

fn place(line: Option<usize>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}

fn lines(errors: &[TemplateError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or_else(|| self.kind.as_str()))
    }
}

#[cfg(test)]
mod tests;

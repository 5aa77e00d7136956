//! What the verbs are given: an expression as text or file, an object as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use clap::ValueEnum;
use kakehi_expr::{Compare, Environment, Instant, SOURCE_BYTES_MAX, Val};
use serde_json::{Map, Value as Json};

use crate::cli::Error;
use crate::service::Clock as _;
use crate::service::clock::SystemClock;
use crate::service::failure::{Failure, Kind};

/// Largest file of attributes: far above any object of a directory.
const OBJECT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// An expression and where it was found.
pub struct Source {
    pub text: String,
    /// `None` for the command line.
    pub file: Option<PathBuf>,
}

/// An object as the command line gives it.
#[derive(clap::Args)]
pub struct Given {
    /// The object's attributes: a JSON object of texts, whole numbers, Booleans, lists of them,
    /// {"binary": BASE64} and {"reference": DN}; `-` is standard input
    #[arg(long, value_name = "FILE")]
    attrs: Option<PathBuf>,
    /// What `ImportedValue` sees, in the same form; nothing where it is absent
    #[arg(long, value_name = "FILE")]
    imported: Option<PathBuf>,
    /// The value of a parameter such as %Domain.FQDN%
    #[arg(long, value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// What `Now()` gives, as 2026-01-31T16:30:00Z; the present where it is absent
    #[arg(long, value_name = "INSTANT")]
    now: Option<String>,
    /// How texts are compared by `=` and its kind (`compat.string_compare`)
    #[arg(long, value_name = "HOW", default_value = "binary")]
    compare: How,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum How {
    /// By code points; case counts
    Binary,
    /// Without regard to case
    Text,
}

/// An object, as expressions see it.
#[derive(Default)]
pub struct Object {
    attributes: BTreeMap<String, Vec<Val>>,
    imported: BTreeMap<String, Vec<Val>>,
    /// Attributes whose values stood in a list.
    lists: BTreeSet<String>,
    parameters: BTreeMap<String, String>,
    now: i64,
}

// === impl Source ===

impl Source {
    /// Takes `@FILE`, `-` for standard input, or the expression itself.
    pub fn read(argument: &str) -> Result<Self, Error> {
        let path = match argument.strip_prefix('@') {
            Some(path) => Path::new(path),
            None if argument == "-" => Path::new("-"),
            None => return Ok(Self { text: argument.to_owned(), file: None }),
        };
        // One byte more than the language takes, so that it says itself that this is too long.
        let text = read(path, SOURCE_BYTES_MAX as u64 + 1)?;
        Ok(Self { text, file: Some(path.to_owned()) })
    }

    fn is_standard_input(&self) -> bool {
        self.file.as_deref() == Some(Path::new("-"))
    }
}

// === impl Given ===

impl Given {
    pub fn compare(&self) -> Compare {
        match self.compare {
            How::Binary => Compare::Binary,
            How::Text => Compare::Text,
        }
    }

    /// Reads the object. The source is only asked whether it has read standard input.
    pub fn object(&self, source: &Source) -> Result<Object, Error> {
        let mut object = Object { now: self.instant()?, ..Object::default() };
        let files = [self.attrs.as_deref(), self.imported.as_deref()];
        let dashes = files.iter().filter(|file| **file == Some(Path::new("-"))).count();
        if dashes + usize::from(source.is_standard_input()) > 1 {
            return Err(refuse("K0942", "standard input is named twice", "use a file for one"));
        }
        for (file, confirmed) in files.into_iter().zip([false, true]) {
            let Some(file) = file else { continue };
            object.take(file, &read(file, OBJECT_BYTES_MAX)?, confirmed)?;
        }
        for parameter in &self.param {
            let Some((name, value)) =
                parameter.split_once('=').filter(|(name, _)| !name.is_empty())
            else {
                let message = format!("`--param {parameter}` has no name or no value");
                return Err(refuse("K0942", message, "write `--param Domain.FQDN=a.example`"));
            };
            let name = name.trim_matches('%').to_owned();
            object.parameters.insert(name, value.to_owned());
        }
        Ok(object)
    }

    fn instant(&self) -> Result<i64, Error> {
        let Some(text) = &self.now else { return Ok(SystemClock.now().0.div_euclid(1000)) };
        let instant = Instant::parse(text).map(Instant::unix_seconds);
        instant.ok_or_else(|| {
            let message = format!("`--now {text}` is no instant");
            refuse("K0942", message, "write it as 2026-01-31T16:30:00Z")
        })
    }
}

// === impl Object ===

impl Object {
    fn take(&mut self, file: &Path, text: &str, confirmed: bool) -> Result<(), Error> {
        let wrong = |message: &dyn fmt::Display| {
            let message = format!("cannot read attributes from `{}`: {message}", file.display());
            refuse(
                "K0941",
                message,
                "write `{\"sn\": \"Sato\", \"proxyAddresses\": [\"a\", \"b\"]}`",
            )
        };
        let json: Json = serde_json::from_str(text).map_err(|error| wrong(&error))?;
        let Json::Object(attributes) = json else {
            return Err(wrong(&"it holds no JSON object"));
        };
        for (name, given) in attributes {
            let values = match &given {
                Json::Array(list) => {
                    list.iter().filter(|value| !value.is_null()).map(value).collect()
                }
                Json::Null => continue,
                given => value(given).map(|value| vec![value]),
            };
            let values: Vec<Val> =
                values.map_err(|error| wrong(&format_args!("attribute `{name}`: {error}")))?;
            if confirmed {
                self.imported.insert(name, values);
                continue;
            }
            if given.is_array() {
                self.lists.insert(name.clone());
            }
            self.attributes.insert(name, values);
        }
        Ok(())
    }
}

impl Environment for Object {
    fn attribute(&self, name: &str) -> Vec<Val> {
        self.attributes.get(name).cloned().unwrap_or_default()
    }

    fn imported(&self, name: &str) -> Vec<Val> {
        self.imported.get(name).cloned().unwrap_or_default()
    }

    fn parameter(&self, name: &str) -> Option<String> {
        self.parameters.get(name).cloned()
    }

    fn now(&self) -> i64 {
        self.now
    }

    fn multi_valued(&self, name: &str) -> bool {
        self.lists.contains(name)
    }
}

/// One value, written as in the test cases of rules. Errors: in words.
fn value(json: &Json) -> Result<Val, String> {
    match json {
        Json::String(text) => Ok(Val::Text(text.clone())),
        Json::Bool(flag) => Ok(Val::Boolean(*flag)),
        Json::Number(number) => {
            let whole = number.as_i64();
            whole.map(Val::Number).ok_or_else(|| format!("{number} is no whole number of 64 bits"))
        }
        Json::Object(form) => special(form),
        Json::Null => Err("null inside of a value".to_owned()),
        Json::Array(_) => Err("a list inside of a list".to_owned()),
    }
}

fn special(form: &Map<String, Json>) -> Result<Val, String> {
    let mut entries = form.iter();
    match (entries.next(), entries.next()) {
        (Some((key, Json::String(text))), None) if key == "binary" => {
            let digits: String = text.split_ascii_whitespace().collect();
            let bytes = base64::engine::general_purpose::STANDARD.decode(digits);
            bytes.map(Val::Binary).map_err(|_| "`binary` holds no base64".to_owned())
        }
        (Some((key, Json::String(text))), None) if key == "reference" => {
            Ok(Val::Reference(text.clone()))
        }
        _ => Err("a mapping is {\"binary\": BASE64} or {\"reference\": DN}".to_owned()),
    }
}

/// The text of a file, or of standard input for `-`.
fn read(path: &Path, bytes_max: u64) -> Result<String, Error> {
    let wrong = |error: io::Error| {
        let message = format!("cannot read `{}`: {error}", path.display());
        refuse("K0940", message, "name a file that is there and holds UTF-8")
    };
    let mut text = String::new();
    let source: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(path).map_err(wrong)?),
    };
    source.take(bytes_max).read_to_string(&mut text).map_err(wrong)?;
    Ok(text)
}

fn refuse(code: &'static str, message: impl Into<String>, hint: &str) -> Error {
    Failure::new(Kind::Usage, code, message).hint(hint).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> Result<Object, String> {
        let mut object = Object::default();
        match object.take(Path::new("o.json"), json, false) {
            Ok(()) => Ok(object),
            Err(Error::Failure(failure)) => Err(failure.message),
            Err(Error::Output(error)) => Err(error.to_string()),
        }
    }

    #[test]
    fn objects_are_written_as_in_test_cases_of_rules() {
        let object = object(
            r#"{"t": "a", "n": -7, "b": false, "absent": null, "none": [], "one": ["x"],
                "many": [1, "2", null, true], "bin": {"binary": "AP8="},
                "ref": {"reference": "cn=a"}}"#,
        );
        let object = object.unwrap();
        for (name, expected) in [
            ("t", vec![Val::from("a")]),
            ("n", vec![Val::Number(-7)]),
            ("b", vec![Val::Boolean(false)]),
            ("absent", vec![]),
            ("none", vec![]),
            ("one", vec![Val::from("x")]),
            ("many", vec![Val::Number(1), Val::from("2"), Val::Boolean(true)]),
            ("bin", vec![Val::Binary(vec![0, 255])]),
            ("ref", vec![Val::Reference("cn=a".into())]),
            ("T", vec![]),
        ] {
            assert_eq!(object.attribute(name), expected, "{name}");
        }
        assert!(object.multi_valued("one") && !object.multi_valued("t"));
    }

    #[test]
    fn what_is_no_object_says_where_and_why() {
        for (json, expected) in [
            ("[]", "it holds no JSON object"),
            ("{", "EOF while parsing an object at line 1 column 1"),
            (r#"{"a": 1.5}"#, "attribute `a`: 1.5 is no whole number of 64 bits"),
            (
                r#"{"a": 9223372036854775808}"#,
                "attribute `a`: 9223372036854775808 is no whole number of 64 bits",
            ),
            (r#"{"a": [[1]]}"#, "attribute `a`: a list inside of a list"),
            (r#"{"a": {"binary": "x"}}"#, "attribute `a`: `binary` holds no base64"),
            (
                r#"{"a": {"dn": "x"}}"#,
                "attribute `a`: a mapping is {\"binary\": BASE64} or {\"reference\": DN}",
            ),
        ] {
            let message = object(json).err().unwrap();
            assert_eq!(message, format!("cannot read attributes from `o.json`: {expected}"));
        }
    }
}

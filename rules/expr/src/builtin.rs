//! The functions: one table, their bodies in files by subject.
//!
//! Source: provisioning.md 7. Positions in texts and lists count from 1; texts are counted in
//! characters.

mod conversion;
mod dn;
mod list;
mod number;
mod search;
mod text;
mod time;

use std::borrow::Cow;
use std::ops::RangeInclusive;

use crate::calendar::Instant;
use crate::error::{Fault, SyntaxFault};
use crate::value::{Data, Val};

/// One function as an expression names it.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub name: &'static str,
    pub arity: RangeInclusive<usize>,
    /// The argument, from 0, that may be one of these words.
    pub words: Option<(usize, &'static [&'static str])>,
    pub body: Body,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    /// Takes one value per argument; lists are mapped by the evaluator.
    Scalar(Scalar),
    /// Takes lists whole.
    Whole(Whole),
    /// Decides which arguments are evaluated.
    Lazy(Lazy),
    /// Looks outside the expression.
    Read(Read),
    /// Known, and refused with this reason.
    Unsupported(&'static str),
}

/// `None` is NULL, in and out.
pub(crate) type Scalar = fn(&Arguments<'_>) -> Result<Option<Val>, Fault>;
pub(crate) type Whole = fn(&[Data]) -> Result<Data, Fault>;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Lazy {
    Iif,
    Switch,
    With,
    Select,
    Where,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Read {
    ImportedValue,
    ValueCount,
    Now,
}

/// The arguments of one application of a scalar function. An argument left out is NULL.
pub(crate) struct Arguments<'a> {
    values: [Option<&'a Val>; ARGUMENTS_MAX],
}

/// Most arguments that a scalar function takes.
pub(crate) const ARGUMENTS_MAX: usize = 4;

pub(crate) fn find(name: &str) -> Option<&'static Builtin> {
    TABLE.iter().find(|function| function.name == name)
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|function| function.name)
}

const COMPARE: &[&str] = &["vbBinaryCompare", "vbTextCompare"];
const CASE: &[&str] = &["CaseSensitive", "CaseInsensitive"];
const ENCODINGS: &[&str] = &["Unicode", "ASCII", "UTF8"];

const CERTIFICATES: &str = "X.509 fields are not computed in expressions";
const VOLATILE: &str = "each run would give another value, so each run would export a change";
const KEY_RULE: &str =
    "it occurs in one rule for device keys only, and its exact effect is unknown";

static TABLE: &[Builtin] = &[
    // Numbers.
    scalar("BitAnd", 2..=2, number::bit_and),
    scalar("BitOr", 2..=2, number::bit_or),
    scalar("IsBitSet", 2..=2, number::is_bit_set),
    scalar("CNum", 1..=1, number::c_num),
    scalar("CBool", 1..=1, number::c_bool),
    // Texts.
    scalar("CStr", 1..=1, text::c_str),
    scalar("Len", 1..=1, text::len),
    scalar("Left", 2..=2, text::left),
    scalar("Right", 2..=2, text::right),
    scalar("Mid", 2..=3, text::mid),
    scalar("Trim", 1..=1, text::trim),
    scalar("LTrim", 1..=1, text::l_trim),
    scalar("RTrim", 1..=1, text::r_trim),
    scalar("LCase", 1..=1, text::l_case),
    scalar("UCase", 1..=1, text::u_case),
    scalar("PCase", 1..=1, text::p_case),
    scalar("PadLeft", 3..=3, text::pad_left),
    scalar("PadRight", 3..=3, text::pad_right),
    scalar("Replace", 3..=3, text::replace),
    scalar("ReplaceChars", 2..=2, text::replace_chars),
    scalar("Word", 3..=3, search::word),
    worded("InStr", 2..=4, 3, COMPARE, Body::Scalar(search::in_str)),
    worded("InStrRev", 2..=4, 3, COMPARE, Body::Scalar(search::in_str_rev)),
    scalar("Error", 1..=1, text::error),
    // Encodings and identifiers.
    scalar("ConvertToBase64", 1..=1, conversion::to_base64),
    worded("ConvertFromBase64", 1..=2, 1, ENCODINGS, Body::Scalar(conversion::from_base64)),
    scalar("ConvertToUTF8Hex", 1..=1, conversion::to_utf8_hex),
    scalar("ConvertFromUTF8Hex", 1..=1, conversion::from_utf8_hex),
    scalar("CGuid", 1..=1, conversion::c_guid),
    scalar("StringFromGuid", 1..=1, conversion::string_from_guid),
    scalar("StringFromSid", 1..=1, conversion::string_from_sid),
    scalar("IsString", 1..=1, conversion::is_string),
    scalar("IsNumeric", 1..=1, conversion::is_numeric),
    scalar("IsGuid", 1..=1, conversion::is_guid),
    // Distinguished names.
    scalar("CRef", 1..=1, dn::c_ref),
    scalar("DNComponent", 2..=2, dn::component),
    scalar("DNComponentRev", 2..=3, dn::component_rev),
    scalar("EscapeDNComponent", 1..=1, dn::escape_component),
    // Dates.
    scalar("CDate", 1..=1, time::c_date),
    scalar("IsDate", 1..=1, time::is_date),
    scalar("DateAdd", 3..=3, time::date_add),
    scalar("DateFromNum", 1..=1, time::date_from_num),
    scalar("NumFromDate", 1..=1, time::num_from_date),
    scalar("FormatDateTime", 2..=2, time::format_date_time),
    read("Now", 0, Read::Now),
    // Presence and lists.
    whole("IsPresent", 1..=1, list::is_present),
    whole("IsNullOrEmpty", 1..=1, list::is_null_or_empty),
    whole("IsNull", 1..=1, list::is_null),
    scalar("IsEmpty", 1..=1, text::is_empty),
    worded("Contains", 2..=3, 2, CASE, Body::Whole(list::contains)),
    whole("Count", 1..=1, list::count),
    whole("Item", 2..=2, list::item),
    whole("ItemOrNull", 2..=2, list::item_or_null),
    whole("Join", 1..=2, list::join),
    whole("Split", 2..=3, list::split),
    whole("RemoveDuplicates", 1..=1, list::remove_duplicates),
    read("ImportedValue", 1, Read::ImportedValue),
    read("ValueCount", 1, Read::ValueCount),
    // Choice and variables.
    lazy("IIF", 3..=3, Lazy::Iif),
    lazy("Switch", 2..=usize::MAX, Lazy::Switch),
    lazy("With", 3..=3, Lazy::With),
    lazy("Select", 3..=3, Lazy::Select),
    lazy("Where", 3..=3, Lazy::Where),
    // Recognised, so that the message says more than "unknown".
    unsupported("RandomNum", VOLATILE),
    unsupported("Guid", VOLATILE),
    unsupported("CBin", KEY_RULE),
    unsupported("Thumbprint", KEY_RULE),
    unsupported("IsCert", CERTIFICATES),
    unsupported("CertExtensionOids", CERTIFICATES),
    unsupported("CertFormat", CERTIFICATES),
    unsupported("CertFriendlyName", CERTIFICATES),
    unsupported("CertHashString", CERTIFICATES),
    unsupported("CertIssuer", CERTIFICATES),
    unsupported("CertIssuerDN", CERTIFICATES),
    unsupported("CertIssuerOid", CERTIFICATES),
    unsupported("CertKeyAlgorithm", CERTIFICATES),
    unsupported("CertKeyAlgorithmParams", CERTIFICATES),
    unsupported("CertNameInfo", CERTIFICATES),
    unsupported("CertNotAfter", CERTIFICATES),
    unsupported("CertNotBefore", CERTIFICATES),
    unsupported("CertPublicKeyOid", CERTIFICATES),
    unsupported("CertPublicKeyParametersOid", CERTIFICATES),
    unsupported("CertSerialNumber", CERTIFICATES),
    unsupported("CertSignatureAlgorithmOid", CERTIFICATES),
    unsupported("CertSubject", CERTIFICATES),
    unsupported("CertSubjectNameDN", CERTIFICATES),
    unsupported("CertSubjectNameOid", CERTIFICATES),
    unsupported("CertThumbprint", CERTIFICATES),
    unsupported("CertVersion", CERTIFICATES),
];

const fn scalar(name: &'static str, arity: RangeInclusive<usize>, body: Scalar) -> Builtin {
    Builtin { name, arity, words: None, body: Body::Scalar(body) }
}

const fn whole(name: &'static str, arity: RangeInclusive<usize>, body: Whole) -> Builtin {
    Builtin { name, arity, words: None, body: Body::Whole(body) }
}

const fn lazy(name: &'static str, arity: RangeInclusive<usize>, body: Lazy) -> Builtin {
    Builtin { name, arity, words: None, body: Body::Lazy(body) }
}

const fn read(name: &'static str, arguments: usize, body: Read) -> Builtin {
    Builtin { name, arity: arguments..=arguments, words: None, body: Body::Read(body) }
}

const fn unsupported(name: &'static str, reason: &'static str) -> Builtin {
    Builtin { name, arity: 0..=usize::MAX, words: None, body: Body::Unsupported(reason) }
}

const fn worded(
    name: &'static str,
    arity: RangeInclusive<usize>,
    argument: usize,
    words: &'static [&'static str],
    body: Body,
) -> Builtin {
    Builtin { name, arity, words: Some((argument, words)), body }
}

// === impl Builtin ===

impl Builtin {
    pub fn wrong_count(&self, found: usize) -> SyntaxFault {
        let takes = match (*self.arity.start(), *self.arity.end()) {
            (0, 0) => "no arguments".to_owned(),
            (1, 1) => "1 argument".to_owned(),
            (least, most) if least == most => format!("{least} arguments"),
            (least, usize::MAX) => format!("at least {least} arguments"),
            (least, most) => format!("{least} to {most} arguments"),
        };
        SyntaxFault::ArgumentCount { name: self.name, takes, found }
    }
}

// === impl Arguments ===

impl<'a> Arguments<'a> {
    /// Takes at most [`ARGUMENTS_MAX`] values; the table holds no scalar function with more.
    pub fn new(given: impl Iterator<Item = Option<&'a Val>>) -> Self {
        let mut values = [None; ARGUMENTS_MAX];
        values.iter_mut().zip(given).for_each(|(slot, value)| *slot = value);
        Self { values }
    }

    pub fn value(&self, index: usize) -> Option<&'a Val> {
        self.values[index]
    }

    pub fn text(&self, index: usize) -> Result<Option<Cow<'a, str>>, Fault> {
        self.values[index].map(Val::text).transpose()
    }

    /// A text, where NULL is the empty one.
    pub fn text_or_empty(&self, index: usize) -> Result<Cow<'a, str>, Fault> {
        Ok(self.text(index)?.unwrap_or_default())
    }

    pub fn number(&self, index: usize) -> Result<Option<i64>, Fault> {
        self.values[index].map(Val::number).transpose()
    }

    pub fn binary(&self, index: usize) -> Result<Option<&'a [u8]>, Fault> {
        self.values[index].map(Val::binary).transpose()
    }

    pub fn instant(&self, index: usize) -> Result<Option<Instant>, Fault> {
        self.values[index].map(Val::instant).transpose()
    }

    /// The word at this place, or the first of its list where none was given.
    pub fn word(&self, index: usize, default: &'static str) -> Result<Cow<'a, str>, Fault> {
        Ok(self.text(index)?.unwrap_or(Cow::Borrowed(default)))
    }

    pub fn out_of_range(&self, index: usize, wanted: &'static str) -> Fault {
        let value = self.values[index].map_or("NULL".into(), Into::into);
        Fault::OutOfRange { argument: index + 1, value, wanted }
    }
}

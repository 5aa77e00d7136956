//! The functions: one table, their bodies in files by subject.
//!
//! Source: provisioning.md 7. Positions in texts and lists count from 1; texts are counted in
//! characters.

mod certificate;
mod conversion;
mod der;
mod dn;
mod list;
mod number;
mod search;
mod sha1;
mod text;
mod time;

use std::borrow::Cow;
use std::ops::RangeInclusive;

use crate::calendar::Instant;
use crate::error::{Fault, SyntaxFault};
use crate::types::{Gives, Types, Want};
use crate::value::{Data, Val};

/// One function as an expression names it.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub name: &'static str,
    pub arity: RangeInclusive<usize>,
    /// What each argument must be; shorter than the arguments where the evaluator sees to them.
    pub takes: &'static [Want],
    pub gives: Gives,
    pub body: Body,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    /// Takes one value per argument; lists are mapped by the evaluator.
    Scalar(Scalar),
    /// As `Scalar`, but each value becomes a list; the lists are put one behind the other.
    Spread(Whole),
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

pub(crate) use time::parse as parse_date;

pub(crate) fn find(name: &str) -> Option<&'static Builtin> {
    TABLE.iter().find(|function| function.name == name)
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|function| function.name)
}

const ANY: Want = Want::Anything;
const TEXT: Want = Want::Text;
const NUMBER: Want = Want::Number;
const CONDITION: Want = Want::Condition;
const BINARY: Want = Want::Binary;
const DATE: Want = Want::Date;
const SEQUENCE: Want = Want::Sequence;
const CERTIFICATE: Want = Want::Certificate;
const COMPARE: Want = Want::Word(&["vbBinaryCompare", "vbTextCompare"]);
const CASE: Want = Want::Word(&["CaseSensitive", "CaseInsensitive"]);
const ENCODING: Want = Want::Word(&["Unicode", "ASCII", "UTF8"]);

const ANYTHING: Gives = Gives::Only(Types::ANY);
const NOTHING: Gives = Gives::Only(Types::NONE);
const TEXTS: Gives = Gives::Only(Types::TEXT);
const NUMBERS: Gives = Gives::Only(Types::NUMBER);
const BOOLEANS: Gives = Gives::Only(Types::BOOLEAN);
const BINARIES: Gives = Gives::Only(Types::BINARY);
const REFERENCES: Gives = Gives::Only(Types::REFERENCE);
const DATES: Gives = Gives::Only(Types::DATE);
const TEXTS_OR_BINARIES: Gives = Gives::Sequence;

const VOLATILE: &str = "each run would give another value, so each run would export a change";
const KEY_RULE: &str =
    "it occurs in one rule for device keys only, and its exact effect is unknown";
const NAME_OID: &str = "a name in a certificate has no OID of its own";
const NAME_INFO: &str = "what it picks from a name is not defined outside of Windows";

static TABLE: &[Builtin] = &[
    // Numbers.
    scalar("BitAnd", 0, &[NUMBER, NUMBER], NUMBERS, number::bit_and),
    scalar("BitOr", 0, &[NUMBER, NUMBER], NUMBERS, number::bit_or),
    scalar("IsBitSet", 0, &[NUMBER, NUMBER], BOOLEANS, number::is_bit_set),
    scalar("CNum", 0, &[NUMBER], NUMBERS, number::c_num),
    scalar("CBool", 0, &[CONDITION], BOOLEANS, number::c_bool),
    // Texts.
    scalar("CStr", 0, &[TEXT], TEXTS, text::c_str),
    scalar("Len", 0, &[SEQUENCE], NUMBERS, text::len),
    scalar("Left", 0, &[TEXT, NUMBER], TEXTS, text::left),
    scalar("Right", 0, &[TEXT, NUMBER], TEXTS, text::right),
    scalar("Mid", 1, &[SEQUENCE, NUMBER, NUMBER], TEXTS_OR_BINARIES, text::mid),
    scalar("Trim", 0, &[TEXT], TEXTS, text::trim),
    scalar("LTrim", 0, &[TEXT], TEXTS, text::l_trim),
    scalar("RTrim", 0, &[TEXT], TEXTS, text::r_trim),
    scalar("LCase", 0, &[TEXT], TEXTS, text::l_case),
    scalar("UCase", 0, &[TEXT], TEXTS, text::u_case),
    scalar("PCase", 0, &[TEXT], TEXTS, text::p_case),
    scalar("PadLeft", 0, &[TEXT, NUMBER, TEXT], TEXTS, text::pad_left),
    scalar("PadRight", 0, &[TEXT, NUMBER, TEXT], TEXTS, text::pad_right),
    scalar("Replace", 0, &[TEXT, TEXT, TEXT], TEXTS, text::replace),
    scalar("ReplaceChars", 0, &[TEXT, TEXT], TEXTS, text::replace_chars),
    scalar("Word", 0, &[TEXT, NUMBER, TEXT], TEXTS, search::word),
    scalar("InStr", 2, &[TEXT, TEXT, NUMBER, COMPARE], NUMBERS, search::in_str),
    scalar("InStrRev", 2, &[TEXT, TEXT, NUMBER, COMPARE], NUMBERS, search::in_str_rev),
    scalar("Error", 0, &[TEXT], NOTHING, text::error),
    // Encodings and identifiers.
    scalar("ConvertToBase64", 0, &[SEQUENCE], TEXTS, conversion::to_base64),
    scalar("ConvertFromBase64", 1, &[TEXT, ENCODING], TEXTS, conversion::from_base64),
    scalar("ConvertToUTF8Hex", 0, &[TEXT], TEXTS, conversion::to_utf8_hex),
    scalar("ConvertFromUTF8Hex", 0, &[TEXT], TEXTS, conversion::from_utf8_hex),
    scalar("CGuid", 0, &[TEXT], BINARIES, conversion::c_guid),
    scalar("StringFromGuid", 0, &[BINARY], TEXTS, conversion::string_from_guid),
    scalar("StringFromSid", 0, &[BINARY], TEXTS, conversion::string_from_sid),
    scalar("IsString", 0, &[ANY], BOOLEANS, conversion::is_string),
    scalar("IsNumeric", 0, &[ANY], BOOLEANS, conversion::is_numeric),
    scalar("IsGuid", 0, &[ANY], BOOLEANS, conversion::is_guid),
    // Distinguished names.
    scalar("CRef", 0, &[TEXT], REFERENCES, dn::c_ref),
    scalar("DNComponent", 0, &[TEXT, NUMBER], TEXTS, dn::component),
    scalar("DNComponentRev", 1, &[TEXT, NUMBER, TEXT], TEXTS, dn::component_rev),
    scalar("EscapeDNComponent", 0, &[TEXT], TEXTS, dn::escape_component),
    // Dates.
    scalar("CDate", 0, &[TEXT], DATES, time::c_date),
    scalar("IsDate", 0, &[ANY], BOOLEANS, time::is_date),
    scalar("DateAdd", 0, &[TEXT, NUMBER, DATE], DATES, time::date_add),
    scalar("DateFromNum", 0, &[NUMBER], DATES, time::date_from_num),
    scalar("NumFromDate", 0, &[DATE], NUMBERS, time::num_from_date),
    scalar("FormatDateTime", 0, &[DATE, TEXT], TEXTS, time::format_date_time),
    read("Now", 0, DATES, Read::Now),
    // X.509 certificates.
    scalar("IsCert", 0, &[ANY], BOOLEANS, certificate::is_cert),
    scalar("CertFormat", 0, &[CERTIFICATE], TEXTS, certificate::format),
    scalar("CertFriendlyName", 0, &[CERTIFICATE], TEXTS, certificate::friendly_name),
    scalar("CertHashString", 0, &[CERTIFICATE], TEXTS, certificate::thumbprint),
    scalar("CertThumbprint", 0, &[CERTIFICATE], TEXTS, certificate::thumbprint),
    scalar("CertIssuer", 0, &[CERTIFICATE], TEXTS, certificate::issuer),
    scalar("CertIssuerDN", 0, &[CERTIFICATE], TEXTS, certificate::issuer),
    scalar("CertSubject", 0, &[CERTIFICATE], TEXTS, certificate::subject),
    scalar("CertSubjectNameDN", 0, &[CERTIFICATE], TEXTS, certificate::subject),
    scalar("CertKeyAlgorithm", 0, &[CERTIFICATE], TEXTS, certificate::key_algorithm),
    scalar("CertKeyAlgorithmParams", 0, &[CERTIFICATE], TEXTS, certificate::key_parameters),
    scalar("CertPublicKeyOid", 0, &[CERTIFICATE], TEXTS, certificate::key_algorithm),
    scalar("CertPublicKeyParametersOid", 0, &[CERTIFICATE], TEXTS, certificate::key_algorithm),
    scalar("CertNotAfter", 0, &[CERTIFICATE], DATES, certificate::not_after),
    scalar("CertNotBefore", 0, &[CERTIFICATE], DATES, certificate::not_before),
    scalar("CertSerialNumber", 0, &[CERTIFICATE], TEXTS, certificate::serial_number),
    scalar("CertSignatureAlgorithmOid", 0, &[CERTIFICATE], TEXTS, certificate::signature_algorithm),
    scalar("CertVersion", 0, &[CERTIFICATE], NUMBERS, certificate::version),
    spread("CertExtensionOids", 0, &[CERTIFICATE], TEXTS, certificate::critical_extensions),
    // Presence and lists.
    whole("IsPresent", 0, &[ANY], BOOLEANS, list::is_present),
    whole("IsNullOrEmpty", 0, &[ANY], BOOLEANS, list::is_null_or_empty),
    whole("IsNull", 0, &[ANY], BOOLEANS, list::is_null),
    scalar("IsEmpty", 0, &[ANY], BOOLEANS, text::is_empty),
    whole("Contains", 1, &[TEXT, TEXT, CASE], NUMBERS, list::contains),
    whole("Count", 0, &[ANY], NUMBERS, list::count),
    whole("Item", 0, &[ANY, NUMBER], Gives::TypeOf(0), list::item),
    whole("ItemOrNull", 0, &[ANY, NUMBER], Gives::TypeOf(0), list::item_or_null),
    whole("Join", 1, &[TEXT, TEXT], TEXTS, list::join),
    spread("Split", 1, &[TEXT, TEXT, NUMBER], TEXTS, list::split),
    whole("RemoveDuplicates", 0, &[ANY], Gives::TypeOf(0), list::remove_duplicates),
    read("ImportedValue", 1, ANYTHING, Read::ImportedValue),
    read("ValueCount", 1, NUMBERS, Read::ValueCount),
    // Choice and variables; their types are those of their branches.
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
    unsupported("CertIssuerOid", NAME_OID),
    unsupported("CertSubjectNameOid", NAME_OID),
    unsupported("CertNameInfo", NAME_INFO),
];

const fn scalar(
    name: &'static str,
    optional: usize,
    takes: &'static [Want],
    gives: Gives,
    body: Scalar,
) -> Builtin {
    plain(name, optional, takes, gives, Body::Scalar(body))
}

const fn spread(
    name: &'static str,
    optional: usize,
    takes: &'static [Want],
    gives: Gives,
    body: Whole,
) -> Builtin {
    plain(name, optional, takes, gives, Body::Spread(body))
}

const fn whole(
    name: &'static str,
    optional: usize,
    takes: &'static [Want],
    gives: Gives,
    body: Whole,
) -> Builtin {
    plain(name, optional, takes, gives, Body::Whole(body))
}

/// The last `optional` arguments may be left out.
const fn plain(
    name: &'static str,
    optional: usize,
    takes: &'static [Want],
    gives: Gives,
    body: Body,
) -> Builtin {
    Builtin { name, arity: takes.len() - optional..=takes.len(), takes, gives, body }
}

const fn lazy(name: &'static str, arity: RangeInclusive<usize>, body: Lazy) -> Builtin {
    Builtin { name, arity, takes: &[], gives: ANYTHING, body: Body::Lazy(body) }
}

const fn read(name: &'static str, arguments: usize, gives: Gives, body: Read) -> Builtin {
    Builtin { name, arity: arguments..=arguments, takes: &[], gives, body: Body::Read(body) }
}

const fn unsupported(name: &'static str, reason: &'static str) -> Builtin {
    let body = Body::Unsupported(reason);
    Builtin { name, arity: 0..=usize::MAX, takes: &[], gives: ANYTHING, body }
}

/// A number as a length or place; `None` if it is negative. What is too large for this machine is
/// as large as can be: a rule module counts in 32 bits, and must give what any other program gives.
fn size(number: i64) -> Option<usize> {
    (number >= 0).then(|| usize::try_from(number).unwrap_or(usize::MAX))
}

// === impl Builtin ===

impl Builtin {
    pub fn wrong_count(&self, found: usize) -> SyntaxFault {
        let takes = match (*self.arity.start(), *self.arity.end()) {
            (0, 0) => "no arguments".to_owned(),
            (1, 1) => "1 argument".to_owned(),
            (least, most) if least == most => format!("{least} arguments"),
            (least, usize::MAX) => format!("at least {least} arguments"),
            (least, most) if least + 1 == most => format!("{least} or {most} arguments"),
            (least, most) => format!("{least} to {most} arguments"),
        };
        SyntaxFault::ArgumentCount { name: self.name, takes, found }
    }

    /// The words that may stand at this place, from 0, if words stand there.
    pub fn words(&self, index: usize) -> Option<&'static [&'static str]> {
        match self.takes.get(index) {
            Some(Want::Word(words)) => Some(words),
            _ => None,
        }
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

    /// What all of them hold together.
    pub fn bytes(&self) -> usize {
        self.values.iter().flatten().map(|value| value.bytes()).sum()
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

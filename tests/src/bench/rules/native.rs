//! The same mapping as a function of this program, over the engine's own types: what there is to do
//! at the very least.

use kakehi_engine::flow::{Contribution, Flow, RuleInput, RuleOutcome};
use kakehi_engine::object::Value;

pub fn map(input: &RuleInput<'_>) -> RuleOutcome {
    let Some(account) = text(input, "sAMAccountName") else {
        return fail("sAMAccountName is missing");
    };
    if account.ends_with('$') {
        return RuleOutcome::Skip("computer account".into());
    }
    let Some([Value::Binary(id)]) = values(input, "objectGUID") else {
        return fail("objectGUID is missing");
    };
    let domain = input.parameters.iter().find(|(name, _)| *name == "Domain.FQDN");
    let domain = domain.map_or("", |(_, value)| value);
    let control = match values(input, "userAccountControl") {
        Some([Value::Integer(number), ..]) => *number,
        Some([Value::Text(text), ..]) => text.parse().unwrap_or(0),
        _ => 0,
    };
    let both = |name| text(input, name).unwrap_or_default();
    RuleOutcome::Flows(vec![
        set("externalId", vec![Value::Text(guid(id))]),
        set("userName", vec![Value::Text(format!("{}@{domain}", account.to_ascii_lowercase()))]),
        set("name.givenName", values(input, "givenName").unwrap_or_default().to_vec()),
        set("name.familyName", values(input, "sn").unwrap_or_default().to_vec()),
        set("displayName", vec![Value::Text(format!("{} {}", both("sn"), both("givenName")))]),
        set(
            "emails.value",
            text(input, "mail")
                .map(|mail| Value::Text(mail.to_ascii_lowercase()))
                .into_iter()
                .collect(),
        ),
        set("active", vec![Value::Boolean(control & 2 == 0)]),
    ])
}

fn values<'a>(input: &'a RuleInput<'_>, name: &str) -> Option<&'a [Value]> {
    let found = input.attributes.iter().find(|(known, _)| known.as_str() == name);
    found.map(|(_, values)| &**values)
}

fn text<'a>(input: &'a RuleInput<'_>, name: &str) -> Option<&'a str> {
    match values(input, name)? {
        [Value::Text(text), ..] => Some(text),
        _ => None,
    }
}

fn set(attribute: &str, values: Vec<Value>) -> Flow {
    let contribution =
        if values.is_empty() { Contribution::None } else { Contribution::Values(values) };
    Flow { attribute: attribute.into(), contribution }
}

fn fail(message: &str) -> RuleOutcome {
    RuleOutcome::Fail { attribute: None, message: message.into() }
}

fn guid(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(36);
    for (at, place) in [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].iter().enumerate() {
        if [4, 6, 8, 10].contains(&at) {
            text.push('-');
        }
        let byte = bytes.get(*place).copied().unwrap_or(0);
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

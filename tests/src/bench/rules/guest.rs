//! The mapping that `bench rules` measures, as a rule in Rust. It needs six attributes; told to
//! read twenty, it is shown fourteen that it does not look at.

use kakehi_guest::{Contract, Entry, Flow, Rule, Verdict, contract, fail, names, set, skip};

pub struct Mapping;
kakehi_guest::export!(Mapping);

const READS: [&str; 6] =
    ["givenName", "mail", "objectGUID", "sAMAccountName", "sn", "userAccountControl"];

const WRITES: [&str; 7] = [
    "active",
    "displayName",
    "emails.value",
    "externalId",
    "name.familyName",
    "name.givenName",
    "userName",
];

/// Places of the bytes in the text of a GUID; -1 is a hyphen.
const GUID: [i8; 20] = [3, 2, 1, 0, -1, 5, 4, -1, 7, 6, -1, 8, 9, -1, 10, 11, 12, 13, 14, 15];

impl Rule for Mapping {
    fn describe(config: &str) -> Result<Contract, String> {
        let more = if config == "{}" { 0 } else { 14 };
        let reads = READS.into_iter().map(str::to_owned);
        let reads = reads.chain((0..more).map(|number| format!("zz{number:02}")));
        Ok(Contract { parameters: names(["Domain.FQDN"]), ..contract(reads, WRITES) })
    }

    fn apply(entry: &Entry) -> Verdict {
        let Some(account) = entry.text("sAMAccountName") else {
            return fail("sAMAccountName is missing");
        };
        if account.ends_with('$') {
            return skip("computer account");
        }
        let Some(id) = entry.binary("objectGUID").filter(|id| id.len() == 16) else {
            return fail("objectGUID is missing");
        };
        Verdict::Flow(flows(entry, &account, id))
    }
}

fn flows(entry: &Entry, account: &str, id: &[u8]) -> Vec<Flow> {
    let text = |name| entry.text(name).unwrap_or_default();
    let domain = entry.param("Domain.FQDN").unwrap_or_default();
    let disabled = entry.int("userAccountControl").unwrap_or(0) & 2 != 0;
    vec![
        set("externalId", guid(id)),
        set("userName", format!("{}@{domain}", account.to_ascii_lowercase())),
        set("name.givenName", entry.values("givenName")),
        set("name.familyName", entry.values("sn")),
        set("displayName", format!("{} {}", text("sn"), text("givenName"))),
        set("emails.value", entry.text("mail").map(|mail| mail.to_ascii_lowercase())),
        set("active", !disabled),
    ]
}

fn guid(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(36);
    for place in GUID {
        match usize::try_from(place) {
            Ok(place) => {
                text.push(char::from(DIGITS[usize::from(bytes[place] >> 4)]));
                text.push(char::from(DIGITS[usize::from(bytes[place] & 15)]));
            }
            Err(_) => text.push('-'),
        }
    }
    text
}

//! The conformance rule in Rust (rules.md 12).

use kakehi_guest::{
    Contract, Entry, Flow, Rule, Verdict, block, contract, error, fail, fail_at, keep, names, now,
    set, skip,
};

pub struct Conformance;
kakehi_guest::export!(Conformance);

const READS: [&str; 10] = [
    "dn",
    "givenName",
    "mail",
    "manager",
    "objectGUID",
    "sAMAccountName",
    "sn",
    "thumbnailPhoto",
    "uidNumber",
    "userAccountControl",
];

const WRITES: [&str; 13] = [
    "externalId",
    "userName",
    "name.givenName",
    "name.familyName",
    "displayName",
    "emails.value",
    "active",
    "photo",
    "manager",
    "uidNumber",
    "nickName",
    "employeeNumber",
    "evaluatedAt",
];

/// Places of the bytes in the text of a GUID; -1 is a hyphen.
const GUID: [i8; 20] = [3, 2, 1, 0, -1, 5, 4, -1, 7, 6, -1, 8, 9, -1, 10, 11, 12, 13, 14, 15];

impl Rule for Conformance {
    fn describe(config: &str) -> Result<Contract, String> {
        if config != "{}" {
            return Err("unknown configuration".into());
        }
        Ok(Contract {
            reads_imported: names(["nickName"]),
            parameters: names(["Domain.FQDN"]),
            volatile: true,
            ..contract(READS, WRITES)
        })
    }

    fn apply(entry: &Entry) -> Verdict {
        let Some(account) = entry.text("sAMAccountName") else {
            return fail("sAMAccountName is missing");
        };
        if account.ends_with('$') {
            return skip("computer account");
        }
        let Some(id) = entry.binary("objectGUID") else {
            error("objectGUID is missing");
            return fail_at("objectGUID", "objectGUID is missing");
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
        set("photo", entry.values("thumbnailPhoto")),
        set("manager", entry.values("manager")),
        set("uidNumber", entry.values("uidNumber")),
        match entry.confirmed("nickName") {
            [] => set("nickName", entry.values("givenName")),
            _ => keep("nickName"),
        },
        block("employeeNumber"),
        set("evaluatedAt", now()),
    ]
}

fn guid(bytes: &[u8]) -> String {
    let part = |place: i8| match usize::try_from(place) {
        Ok(place) => format!("{:02x}", bytes[place]),
        Err(_) => "-".to_owned(),
    };
    GUID.map(part).concat()
}

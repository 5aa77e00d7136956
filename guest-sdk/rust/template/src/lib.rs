//! Display name and mail address of a person, from an Active Directory account.

use kakehi_guest::{Contract, Entry, Rule, Verdict, contract, fail_at, set, skip};

pub struct Person;
kakehi_guest::export!(Person);

impl Rule for Person {
    fn describe(config: &str) -> Result<Contract, String> {
        if config != "{}" {
            return Err("this rule takes no configuration".into());
        }
        Ok(contract(["givenName", "mail", "sAMAccountName", "sn"], ["displayName", "mail"]))
    }

    fn apply(entry: &Entry) -> Verdict {
        let Some(account) = entry.text("sAMAccountName") else {
            return fail_at("sAMAccountName", "sAMAccountName is missing");
        };
        if account.ends_with('$') {
            return skip("computer account");
        }
        let name = display_name(entry).unwrap_or_else(|| account.to_ascii_lowercase());
        let mail = entry.text("mail").map(|mail| mail.to_ascii_lowercase());
        Verdict::Flow(vec![set("displayName", name), set("mail", mail)])
    }
}

fn display_name(entry: &Entry) -> Option<String> {
    match (entry.text("sn"), entry.text("givenName")) {
        (Some(family), Some(given)) => Some(format!("{family} {given}")),
        (family, given) => Some(family.or(given)?.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computers_are_skipped() {
        let entry = Entry::of_class("user").with("sAMAccountName", "PC-01$");
        assert_eq!(Person::apply(&entry), skip("computer account"));
    }

    #[test]
    fn the_family_name_stands_first() {
        let entry = Entry::of_class("user").with("sn", "山田").with("givenName", "太郎");
        assert_eq!(display_name(&entry).as_deref(), Some("山田 太郎"));
    }
}

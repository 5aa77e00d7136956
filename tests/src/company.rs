//! A company directory for OpenLDAP, as LDIF: people with Japanese and Latin names, and groups.

use std::fmt::Write;

use crate::slapd::{READER, READER_PASSWORD, SUFFIX};

/// How large the company is.
pub struct Company {
    pub users: usize,
    pub groups: usize,
    /// Members of the first group; the others have `members`.
    pub first_group: usize,
    pub members: usize,
}

pub fn user_dn(number: usize) -> String {
    format!("uid=u{number:06},ou=people,{SUFFIX}")
}

pub fn group_dn(number: usize) -> String {
    format!("cn=g{number:04},ou=groups,{SUFFIX}")
}

const FAMILY: &[&str] = &["山田", "鈴木", "佐藤", "Miller", "Clark", "髙橋"];
const GIVEN: &[&str] = &["太郎", "花子", "健", "John", "Emily", "翼"];

// === impl Company ===

impl Company {
    pub fn ldif(&self) -> String {
        let mut out = format!(
            "dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\n\
             dc: example\no: Example\n\n"
        );
        let _ = write!(
            out,
            "dn: {READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n\
             cn: reader\nuserPassword: {READER_PASSWORD}\n\n"
        );
        for unit in ["people", "groups"] {
            let _ = write!(
                out,
                "dn: ou={unit},{SUFFIX}\nobjectClass: organizationalUnit\nou: {unit}\n\n"
            );
        }
        for number in 0..self.users {
            out.push_str(&user(number));
            out.push('\n');
        }
        for number in 0..self.groups {
            let members = if number == 0 { self.first_group } else { self.members };
            let _ = write!(
                out,
                "dn: {}\nobjectClass: groupOfNames\ncn: g{number:04}\n",
                group_dn(number)
            );
            for offset in 0..members.min(self.users) {
                let member = (number * 37 + offset) % self.users;
                let _ = writeln!(out, "member: {}", user_dn(member));
            }
            out.push('\n');
        }
        out
    }
}

/// One person as an LDIF record.
pub fn user(number: usize) -> String {
    let (family, given) = (FAMILY[number % FAMILY.len()], GIVEN[number / 7 % GIVEN.len()]);
    format!(
        "dn: {}\nobjectClass: inetOrgPerson\nuid: u{number:06}\ncn: u{number:06}\nsn: {family}\n\
         givenName: {given}\nmail: u{number:06}@example.test\nemployeeNumber: {number:06}\n\
         departmentNumber: {}\ntitle: staff\n",
        user_dn(number),
        number % 20,
    )
}

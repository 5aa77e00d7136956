//! A company's directory as LDIF. In: how many of what, and a seed. Out: the same bytes for the
//! same arguments, and their SHA-256. About 2 KB per user on the wire, Japanese and Latin values.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

/// The root of everything that is written.
pub const SUFFIX: &str = "dc=example,dc=com";

const DEPARTMENTS: usize = 100;

/// Members of an ordinary group.
const GROUP_MEMBERS: usize = 50;

/// Filled up to this many words, an entry has about 2 KB on the wire.
const DESCRIPTION_WORDS: usize = 120;

const SURNAMES: [&str; 12] = [
    "佐藤", "鈴木", "高橋", "田中", "伊藤", "渡辺", "山本", "中村", "小林", "加藤", "髙橋", "齋藤",
];
const GIVEN_NAMES: [&str; 12] = [
    "太郎",
    "花子",
    "一郎",
    "美咲",
    "健太",
    "陽菜",
    "大輔",
    "さくら",
    "翔",
    "葵",
    "ケン",
    "Ｍａｒｉａ",
];
const TITLES: [&str; 6] = ["部長", "課長", "係長", "主任", "担当", "シニアエンジニア"];
const CITIES: [&str; 6] = ["東京", "大阪", "名古屋", "札幌", "福岡", "京都"];
const WORDS: [&str; 24] = [
    "tokyo",
    "osaka",
    "sales",
    "engineering",
    "group",
    "manager",
    "director",
    "platform",
    "identity",
    "north",
    "south",
    "support",
    "finance",
    "legal",
    "kyoto",
    "sapporo",
    "account",
    "service",
    "senior",
    "office",
    "building",
    "remote",
    "contract",
    "security",
];

/// What a directory holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    pub users: usize,
    /// Groups of [`GROUP_MEMBERS`] each.
    pub groups: usize,
    /// Members of one more group; 0: no such group.
    pub big_group: usize,
    pub seed: u64,
}

/// Writes the directory, parents before children. Gives the SHA-256 of what was written.
pub fn write(shape: Shape, out: impl Write) -> io::Result<String> {
    let mut out = Ldif { out, digest: Sha256::new() };
    write_tree(&mut out)?;
    let mut random = Random(shape.seed);
    for number in 0..shape.users {
        write_user(&mut out, number, &mut random)?;
    }
    for number in 0..shape.groups {
        let members = (0..GROUP_MEMBERS).map(|_| random.below(shape.users)).collect();
        write_group(&mut out, &format!("group{number:05}"), members)?;
    }
    if shape.big_group > 0 {
        let members = (0..shape.big_group.min(shape.users)).collect();
        write_group(&mut out, "everybody", members)?;
    }
    out.out.flush()?;
    Ok(out.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The DN of the group of `big_group` members.
pub const BIG_GROUP_DN: &str = "cn=everybody,ou=groups,dc=example,dc=com";

/// The DN of a user.
pub fn user_dn(number: usize) -> String {
    format!("uid=user{number:07},ou=dept{:03},ou=people,{SUFFIX}", number % DEPARTMENTS)
}

fn write_tree(out: &mut Ldif<impl Write>) -> io::Result<()> {
    out.entry(SUFFIX, &["dcObject", "organization"])?;
    out.line("dc", "example")?;
    out.line("o", "Example")?;
    let departments = (0..DEPARTMENTS).map(|number| format!("ou=dept{number:03},ou=people"));
    for unit in ["ou=people".to_owned(), "ou=groups".to_owned()].into_iter().chain(departments) {
        out.entry(&format!("{unit},{SUFFIX}"), &["organizationalUnit"])?;
    }
    Ok(())
}

fn write_user(out: &mut Ldif<impl Write>, number: usize, random: &mut Random) -> io::Result<()> {
    let (surname, given_name) = (random.pick(&SURNAMES), random.pick(&GIVEN_NAMES));
    let uid = format!("user{number:07}");
    let classes = ["top", "person", "organizationalPerson", "inetOrgPerson"];
    out.entry(&user_dn(number), &classes)?;
    out.line("uid", &uid)?;
    out.line("cn", &format!("{surname} {given_name} {number}"))?;
    out.line("sn", surname)?;
    out.line("givenName", given_name)?;
    out.line("displayName", &format!("{surname} {given_name}"))?;
    out.line("mail", &format!("{uid}@example.com"))?;
    out.line("employeeNumber", &format!("E{number:08}"))?;
    out.line("employeeType", random.pick(&WORDS))?;
    out.line("title", random.pick(&TITLES))?;
    out.line("departmentNumber", &format!("{:03}", number % DEPARTMENTS))?;
    out.line("telephoneNumber", &format!("+81 3 {:04} {:04}", number % 10_000, number / 10_000))?;
    out.line("mobile", &format!("+81 90 {:04} {:04}", number % 9_999, number / 9_999))?;
    out.line("street", &random.sentence(6))?;
    out.line("l", random.pick(&CITIES))?;
    out.line("postalCode", &format!("{:07}", number % 9_999_999))?;
    out.line("physicalDeliveryOfficeName", &random.sentence(3))?;
    out.line("manager", &user_dn(number / 10))?;
    out.line("preferredLanguage", "ja")?;
    out.line("description", &random.sentence(DESCRIPTION_WORDS))?;
    for site in 0..4 {
        let address = format!("https://people.corp{site}.example.com/{uid}/{site}");
        out.line("labeledURI", &address)?;
    }
    Ok(())
}

fn write_group(out: &mut Ldif<impl Write>, name: &str, mut members: Vec<usize>) -> io::Result<()> {
    members.sort_unstable();
    members.dedup();
    out.entry(&format!("cn={name},ou=groups,{SUFFIX}"), &["groupOfNames"])?;
    members.into_iter().try_for_each(|member| out.line("member", &user_dn(member)))
}

/// LDIF on its way out, and the digest of it.
struct Ldif<W> {
    out: W,
    digest: Sha256,
}

impl<W: Write> Ldif<W> {
    fn entry(&mut self, dn: &str, classes: &[&str]) -> io::Result<()> {
        self.text("\n")?;
        self.line("dn", dn)?;
        classes.iter().try_for_each(|class| self.line("objectClass", class))
    }

    /// One value; what is not ASCII goes as base64 (RFC 2849).
    fn line(&mut self, name: &str, value: &str) -> io::Result<()> {
        if value.is_ascii() {
            self.text(&format!("{name}: {value}\n"))
        } else {
            self.text(&format!("{name}:: {}\n", BASE64.encode(value)))
        }
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        self.digest.update(text.as_bytes());
        self.out.write_all(text.as_bytes())
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): a few lines, and equal on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is at least 1. The bias is far below anything measured here.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn sentence(&mut self, words: usize) -> String {
        (0..words).map(|_| self.pick(&WORDS)).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { users: 100, groups: 2, big_group: 60, seed: 42 };

    fn directory(shape: Shape) -> (String, String) {
        let mut bytes = Vec::new();
        let digest = write(shape, &mut bytes).unwrap();
        (String::from_utf8(bytes).unwrap(), digest)
    }

    #[test]
    fn the_same_arguments_give_the_same_bytes() {
        let digest = "9538f5b3368545b880aefe7f10187b632585ebb1f8b95bcd0f12d01dc8c009d2";
        assert_eq!(directory(SHAPE).1, digest);
        assert_ne!(directory(Shape { seed: 43, ..SHAPE }).1, directory(SHAPE).1);
    }

    #[test]
    fn every_group_has_members_and_the_big_one_as_many_as_asked() {
        let (text, _) = directory(SHAPE);
        let sizes: Vec<usize> = text
            .split("\n\n")
            .filter(|entry| entry.contains("groupOfNames"))
            .map(|entry| entry.matches("member: ").count())
            .collect();
        assert_eq!(sizes.len(), 3);
        assert_eq!(sizes.last(), Some(&60));
        assert!(sizes.iter().all(|size| (1..=60).contains(size)));
    }
}

//! Two forests of one company: accounts in one, mailboxes in the other. Persons flow in, two real
//! directories with names as Active Directory has them flow out, and an installation that reads
//! both by generated rules.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value as Json;

use crate::installation::TOKEN;
use crate::product::{Answer, Product};
use crate::scim_server::ScimServer;
use crate::slapd::{READER, READER_PASSWORD, SUFFIX, Slapd};

/// Attributes and classes as Active Directory names them, under the enterprise number that is for
/// documentation (RFC 5612): name, syntax. All have one value, but for those of [`SEVERAL`].
const ATTRIBUTES: &[(&str, &str)] = &[
    ("objectGUID", OCTETS),
    ("objectSid", OCTETS),
    ("msExchMasterAccountSid", OCTETS),
    ("sAMAccountName", TEXT),
    ("userPrincipalName", TEXT),
    ("userAccountControl", NUMBER),
    ("mailNickname", TEXT),
    ("proxyAddresses", TEXT),
    ("msExchRecipientTypeDetails", NUMBER),
    ("isCriticalSystemObject", FLAG),
    ("adminDescription", TEXT),
    ("company", TEXT),
    ("department", TEXT),
    ("groupType", NUMBER),
];
const SEVERAL: &str = "proxyAddresses";
const TEXT: &str = "EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15";
const NUMBER: &str = "EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27";
const FLAG: &str = "EQUALITY booleanMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.7";
const OCTETS: &str = "EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40";

/// What every object of these classes has besides [`ATTRIBUTES`], from the usual schemas.
const USUAL: &str = "displayName $ givenName $ sn $ mail $ title $ manager $ description";

const CONFIG: &str = "manifest: rules/manifest.yml
state: {path: state}
sources:
  forest-a: {ldap: FOREST_A}
  forest-r: {ldap: FOREST_R}
targets:
  cloud: {base_url: TARGET, credential: cloud-token}
credentials:
  directory: {kind: ldap_bind}
  cloud-token: {kind: scim_bearer}
rules: {cache: cache}
import: {max_shrink: {percent: 100}}
";

/// The world of the scenario.
pub struct World {
    pub forest_a: Slapd,
    pub forest_r: Slapd,
    pub server: ScimServer,
    pub product: Product,
}

/// An entry of one of the forests.
#[derive(Clone, Debug, Default)]
pub struct Account<'a> {
    pub name: &'a str,
    /// The last number of its SID.
    pub rid: u8,
    pub control: u32,
    pub lines: &'a str,
}

// === impl World ===

impl World {
    /// Empty directories, and rules that the program made for what they say that they hold.
    pub fn start() -> Self {
        let (forest_a, forest_r) = (forest(), forest());
        let server = ScimServer::start();
        let config = CONFIG
            .replace("FOREST_A", &source(&forest_a))
            .replace("FOREST_R", &source(&forest_r))
            .replace("TARGET", &server.base_url());
        let secret = format!(
            "credentials:\n  directory: {{value: {READER_PASSWORD}}}\n  \
             cloud-token: {{value: {TOKEN}}}\n"
        );
        let product = Product::new(&[("config.yml", &config), ("secret.yml", &secret)]);
        let rules = product.path("rules").display().to_string();
        let made = product.run(&[
            "rules",
            "generate",
            "--online",
            "--match",
            "objectSid",
            "--domain",
            "forest-a=a.example",
            "--domain",
            "forest-r=r.example",
            "-o",
            &rules,
        ]);
        assert_eq!(made.code, 0, "{made}");
        let tested = product.run(&["rules", "test", &rules]);
        assert_eq!(tested.code, 0, "{tested}");
        Self { forest_a, forest_r, server, product }
    }

    /// One cycle. Gives what it printed and how it ended.
    pub fn once(&self) -> Answer {
        self.product.run(&["once", "--json"])
    }

    /// Why an entry's person looks as it does.
    pub fn explain(&self, dn: &str) -> Json {
        self.product.json(&["explain", dn, "--json"])
    }

    /// The user of this name at the target.
    pub fn user(&self, name: &str) -> Option<Json> {
        self.server.users().into_iter().find(|user| user["userName"] == name)
    }
}

// === impl Account ===

impl Account<'_> {
    pub fn dn(&self) -> String {
        format!("cn={},ou=people,{SUFFIX}", self.name)
    }

    /// What it is known by for ever: base64 of its GUID.
    pub fn anchor(&self) -> String {
        BASE64_STANDARD.encode(guid(self.name))
    }

    pub fn add_to(&self, forest: &Slapd) {
        let mut record = format!("dn: {}\nchangetype: add\nobjectClass: user\n", self.dn());
        let (guid, sid) = (self.anchor(), security_id(self.rid));
        let _ = write!(
            record,
            "cn: {}\nobjectGUID:: {guid}\n{sid}userAccountControl: {}\n{}",
            self.name, self.control, self.lines
        );
        forest.modify(&record);
    }

    pub fn delete_from(&self, forest: &Slapd) {
        forest.modify(&format!("dn: {}\nchangetype: delete\n", self.dn()));
    }
}

/// `msExchMasterAccountSid` of a mailbox, as a line of LDIF.
pub fn master(rid: u8) -> String {
    format!("msExchMasterAccountSid:: {}\n", BASE64_STANDARD.encode(sid(rid)))
}

/// `objectSid` of an account, as a line of LDIF.
pub fn security_id(rid: u8) -> String {
    format!("objectSid:: {}\n", BASE64_STANDARD.encode(sid(rid)))
}

/// S-1-5-21-1-2-3-rid (MS-DTYP 2.4.2.2).
fn sid(rid: u8) -> Vec<u8> {
    let mut bytes = vec![1, 5, 0, 0, 0, 0, 0, 5];
    for part in [21, 1, 2, 3, rid] {
        bytes.extend([part, 0, 0, 0]);
    }
    bytes
}

/// Sixteen bytes that no other name has.
fn guid(name: &str) -> Vec<u8> {
    let digest = crate::sha256(name.as_bytes());
    digest.bytes().take(16).collect()
}

fn source(forest: &Slapd) -> String {
    format!(
        "{{kind: generic, urls: ['{}'], bases: ['{SUFFIX}'], \
         bind: {{dn: '{READER}', credential: directory}}}}",
        forest.url()
    )
}

fn forest() -> Slapd {
    let ldif = format!(
        "dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\n\
         dc: example\no: Example\n\n\
         dn: {READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n\
         cn: reader\nuserPassword: {READER_PASSWORD}\n\n\
         dn: ou=people,{SUFFIX}\nobjectClass: organizationalUnit\nou: people\n\n"
    );
    Slapd::with_schema(&schema(), &ldif)
}

fn schema() -> String {
    let arc = "1.3.6.1.4.1.32473.1";
    let mut text = String::new();
    for ((name, syntax), number) in ATTRIBUTES.iter().zip(1..) {
        let single = if *name == SEVERAL { "" } else { "SINGLE-VALUE" };
        let _ =
            writeln!(text, "attributetype ( {arc}.1.{number} NAME '{name}' {syntax} {single} )");
    }
    let own: Vec<&str> = ATTRIBUTES.iter().map(|(name, _)| *name).collect();
    let may = format!("{USUAL} $ {}", own.join(" $ "));
    for (class, number) in ["user", "contact"].iter().zip(1..) {
        let _ = writeln!(
            text,
            "objectclass ( {arc}.2.{number} NAME '{class}' SUP top STRUCTURAL \
             MUST cn MAY ( {may} ) )"
        );
    }
    let _ = writeln!(
        text,
        "objectclass ( {arc}.2.3 NAME 'group' SUP top STRUCTURAL MUST cn MAY ( {may} $ member ) )"
    );
    text
}

//! The LDAP connector against a real OpenLDAP server (ldap.md 14, rows 3 to 7 and 13).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kakehi::config::secret::Secret;
use kakehi::connector::ldap::options::FILTER;
use kakehi::connector::ldap::{Bind, LdapDirectory, LdapOptions, Limits, ServerKind, TlsOptions};
use kakehi::edge::{
    Batch, BatchSink, Change, Directory, DirectoryError, Entry, PollEnd, PollMode, SinkClosed,
    SourceState,
};
use kakehi_engine::object::{Anchor, Value, dn_key};
use kakehi_tests::slapd::{READER, READER_PASSWORD, SUFFIX, Slapd};

/// A connector space reduced to what these tests ask of it: a sweep is made at the end of a
/// listing.
#[derive(Clone, Default)]
struct Space {
    objects: BTreeMap<Anchor, (Entry, u64)>,
    state: SourceState,
    generation: u64,
    batches: usize,
    /// The store gives up after so many batches, as a crash would.
    batches_max: Option<usize>,
}

#[async_trait::async_trait]
impl BatchSink for Space {
    async fn commit(&mut self, batch: Batch) -> Result<(), SinkClosed> {
        if self.batches_max == Some(self.batches) {
            return Err(SinkClosed);
        }
        self.batches += 1;
        for change in batch.changes {
            match change {
                Change::FullBegin { generation, .. } => self.generation = generation,
                Change::Upsert(entry) => {
                    self.objects.insert(entry.anchor.clone(), (entry, self.generation));
                }
                Change::Present { anchors } => {
                    // A new object may be named as alive before it is sent.
                    for anchor in anchors {
                        if let Some((_, stamp)) = self.objects.get_mut(&anchor) {
                            *stamp = self.generation;
                        }
                    }
                }
                Change::Delete { anchor } => drop(self.objects.remove(&anchor)),
                Change::FullEnd { generation } => {
                    self.objects.retain(|_, (_, stamp)| *stamp == generation);
                }
                Change::Partial(_) | Change::Fault { .. } => panic!("not expected: {change:?}"),
            }
        }
        if let Some(next) = batch.next {
            self.state = next;
        }
        Ok(())
    }
}

impl Space {
    async fn poll(&mut self, directory: &mut LdapDirectory) -> Result<PollEnd, DirectoryError> {
        let states = BTreeMap::from([(SUFFIX.to_owned(), self.state.clone())]);
        directory.poll(&states, PollMode::Delta, self).await
    }

    /// DNs and first values of `cn`, by DN.
    fn shown(&self) -> BTreeMap<String, Option<Value>> {
        let cn = |entry: &Entry| entry.attributes.get("cn").map(|values| values[0].clone());
        self.objects.values().map(|(entry, _)| (dn_key(&entry.dn), cn(entry))).collect()
    }

    fn dns(&self) -> Vec<String> {
        self.shown().into_keys().collect()
    }
}

fn options(url: String) -> LdapOptions {
    let password = Arc::new(Secret::new(READER_PASSWORD.to_owned()));
    let asked = ["cn", "sn", "sn;lang-ja;phonetic", "member", "uidNumber", "jpegPhoto", "mail"];
    LdapOptions {
        name: "hr".into(),
        kind: ServerKind::OpenLdap,
        urls: vec![url],
        starttls: false,
        tls: TlsOptions::default(),
        insecure: false,
        bind: Bind::Simple { dn: READER.to_owned(), password },
        bases: vec![SUFFIX.to_owned()],
        filter: FILTER.to_owned(),
        attributes: asked.into_iter().map(Into::into).collect(),
        links: BTreeSet::new(),
        classes: ["inetOrgPerson".into(), "groupOfNames".into()].into(),
        limits: Limits::default(),
    }
}

/// The suffix, the reader and so many people under `ou=people`.
fn directory_of(people: usize) -> String {
    let mut ldif = format!(
        "dn: {SUFFIX}\nobjectClass: organization\nobjectClass: dcObject\no: x\ndc: example\n\n\
         dn: {READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n\
         cn: reader\nuserPassword: {READER_PASSWORD}\n\n\
         dn: ou=people,{SUFFIX}\nobjectClass: organizationalUnit\nou: people\n\n"
    );
    for number in 0..people {
        let dn = format!("cn=p{number},ou=people,{SUFFIX}");
        let lines = format!("dn: {dn}\nobjectClass: inetOrgPerson\ncn: p{number}\nsn: s\n\n");
        ldif.push_str(&lines);
    }
    ldif
}

fn add(name: &str) -> String {
    let dn = format!("cn={name},ou=people,{SUFFIX}");
    format!("dn: {dn}\nchangetype: add\nobjectClass: inetOrgPerson\ncn: {name}\nsn: s\n")
}

fn delete(name: &str) -> String {
    format!("dn: cn={name},ou=people,{SUFFIX}\nchangetype: delete\n")
}

/// Whether the connector space is what a fresh listing shows.
async fn assert_equals_a_fresh_listing(space: &Space, slapd: &Slapd) {
    let mut fresh = Space::default();
    let mut directory = LdapDirectory::new(options(slapd.url()));
    fresh.poll(&mut directory).await.expect("a listing of a healthy server");
    assert_eq!(space.shown(), fresh.shown());
}

#[tokio::test]
async fn entries_arrive_with_their_types_and_options() {
    let ldif = directory_of(0)
        + &format!(
            "dn: cn=a,ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\n\
             cn: a\nsn: Yamada\nsn;lang-ja;phonetic:: 44KE44G+44Gg\nuid: a\nuidNumber: 1000\n\
             gidNumber: 1\nhomeDirectory: /\njpegPhoto:: cGxhaW4=\nuserPassword: secret\n\n\
             dn: cn=g,ou=people,{SUFFIX}\nobjectClass: groupOfNames\ncn: g\n\
             member: cn=a,ou=people,{SUFFIX}\n\n"
        );
    let slapd = Slapd::start(&ldif);
    let mut space = Space::default();
    space.poll(&mut LdapDirectory::new(options(slapd.url()))).await.unwrap();
    let find = |dn: &str| {
        let mut entries = space.objects.values().map(|(entry, _)| entry);
        entries.find(|entry| entry.dn.starts_with(dn)).unwrap()
    };
    let (person, group) = (find("cn=a,"), find("cn=g,"));
    assert_eq!((person.class.as_str(), person.anchor.0.len()), ("inetOrgPerson", 16));
    let expected = BTreeMap::from([
        ("cn".into(), vec![Value::text("a")]),
        ("jpegPhoto".into(), vec![Value::Binary(b"plain".to_vec())]),
        ("sn".into(), vec![Value::text("Yamada")]),
        ("sn;lang-ja;phonetic".into(), vec![Value::text("やまだ")]),
        ("uidNumber".into(), vec![Value::Integer(1000)]),
    ]);
    assert_eq!(person.attributes, expected);
    let member = Value::Reference(format!("cn=a,ou=people,{SUFFIX}"));
    assert_eq!(group.attributes.get("member"), Some(&vec![member]));
}

#[tokio::test]
async fn l20_each_kind_of_connection_works_and_each_wrong_certificate_is_refused() {
    let slapd = Slapd::start(&directory_of(3));
    let ca = || TlsOptions { ca: Some(slapd.ca()), pin_sha256: None };
    let starttls = |tls| LdapOptions { starttls: true, tls, ..options(slapd.url()) };
    let ldaps = |tls| LdapOptions { tls, ..options(slapd.ldaps_url()) };
    for options in [
        options(slapd.url()),
        starttls(ca()),
        ldaps(ca()),
        LdapOptions { bind: Bind::External, ..options(slapd.ldapi_url()) },
        LdapOptions { kind: ServerKind::Auto, ..options(slapd.url()) },
    ] {
        let mut space = Space::default();
        space.poll(&mut LdapDirectory::new(options)).await.unwrap();
        assert_eq!((space.objects.len(), space.state.cookie.is_some()), (6, true));
    }
    let stranger = TlsOptions { ca: None, pin_sha256: Some([7; 32]) };
    for options in [
        ldaps(TlsOptions::default()),
        starttls(TlsOptions::default()),
        ldaps(stranger),
        LdapOptions { tls: ca(), ..options(slapd.ldaps_url_by_name()) },
    ] {
        let error = Space::default().poll(&mut LdapDirectory::new(options)).await.unwrap_err();
        assert!(matches!(error, DirectoryError::Tls { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn l20_one_certificate_can_be_pinned_whatever_its_name() {
    let slapd = Slapd::start(&directory_of(0));
    let tls = TlsOptions { ca: Some(slapd.ca()), pin_sha256: None };
    let mut directory = LdapDirectory::new(LdapOptions { tls, ..options(slapd.ldaps_url()) });
    let lines = directory.probe().await.unwrap().lines;
    let digits = lines[0].split("sha256 ").nth(1).unwrap();
    let pin = std::array::from_fn(|at| u8::from_str_radix(&digits[2 * at..][..2], 16).unwrap());
    let tls = TlsOptions { ca: None, pin_sha256: Some(pin) };
    let mut directory =
        LdapDirectory::new(LdapOptions { tls, ..options(slapd.ldaps_url_by_name()) });
    Space::default().poll(&mut directory).await.unwrap();
}

#[tokio::test]
async fn l22_a_wrong_password_is_refused() {
    let slapd = Slapd::start(&directory_of(0));
    let password = Arc::new(Secret::new("wrong".to_owned()));
    let bind = Bind::Simple { dn: READER.to_owned(), password };
    let mut directory = LdapDirectory::new(LdapOptions { bind, ..options(slapd.url()) });
    for _ in 0..2 {
        let error = Space::default().poll(&mut directory).await.unwrap_err();
        assert!(matches!(error, DirectoryError::Refused { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_probe_says_what_it_found() {
    let slapd = Slapd::start(&directory_of(0));
    let mut directory = LdapDirectory::new(options(slapd.url()));
    let lines = directory.probe().await.unwrap().lines;
    let expected = [
        format!("connected to `{}`: not encrypted", slapd.url()),
        format!("bound as `{READER}`"),
        "server: OpenLDAP".to_owned(),
        "changes: RFC 4533 from the overlay syncprov".to_owned(),
        "pages: 1000 entries".to_owned(),
        format!("base `{SUFFIX}`: readable, with entryUUID"),
        format!("base `{SUFFIX}`: contextCSN of 1 provider(s)"),
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn l73_deltas_follow_the_first_listing() {
    let slapd = Slapd::start(&directory_of(3));
    let (mut space, mut directory) = (Space::default(), LdapDirectory::new(options(slapd.url())));
    assert!(space.poll(&mut directory).await.unwrap().full);
    let batches = space.batches;
    let end = space.poll(&mut directory).await.unwrap();
    assert_eq!((end, space.batches), (PollEnd::default(), batches), "nothing changed");
    slapd.modify(&[add("new"), delete("p0")].join("\n"));
    let dn = format!("cn=p1,ou=people,{SUFFIX}");
    slapd.modify(&format!("dn: {dn}\nchangetype: modrdn\nnewrdn: cn=renamed\ndeleteoldrdn: 1\n"));
    let end = space.poll(&mut directory).await.unwrap();
    assert_eq!((end.entries, end.full), (2, false));
    assert_equals_a_fresh_listing(&space, &slapd).await;
}

#[tokio::test]
async fn l78_a_lost_session_log_leads_to_a_present_phase() {
    let mut slapd = Slapd::start(&directory_of(30));
    let (mut space, mut directory) = (Space::default(), LdapDirectory::new(options(slapd.url())));
    space.poll(&mut directory).await.unwrap();
    slapd.modify(&[add("new"), delete("p0"), delete("p1")].join("\n"));
    slapd.restart();
    let end = space.poll(&mut directory).await.unwrap();
    assert_eq!((end.entries, end.full), (1, true));
    assert_equals_a_fresh_listing(&space, &slapd).await;
}

#[tokio::test]
async fn an_unknown_cookie_ends_in_a_listing_and_loses_nothing() {
    let slapd = Slapd::start(&directory_of(120));
    let (mut space, mut directory) = (Space::default(), LdapDirectory::new(options(slapd.url())));
    space.poll(&mut directory).await.unwrap();
    slapd.modify(&delete("p0"));
    space.state.cookie = Some(b"rid=000,nonsense".to_vec());
    assert!(space.poll(&mut directory).await.unwrap().full);
    assert_equals_a_fresh_listing(&space, &slapd).await;
}

#[tokio::test]
async fn l74_an_entry_that_leaves_the_filter_is_deleted() {
    let slapd = Slapd::start(&directory_of(2));
    let filtered = LdapOptions { filter: "(sn=s)".to_owned(), ..options(slapd.url()) };
    let (mut space, mut directory) = (Space::default(), LdapDirectory::new(filtered));
    space.poll(&mut directory).await.unwrap();
    let dn = format!("cn=p0,ou=people,{SUFFIX}");
    slapd.modify(&format!("dn: {dn}\nchangetype: modify\nreplace: sn\nsn: other\n"));
    space.poll(&mut directory).await.unwrap();
    assert_eq!(space.dns(), [dn_key(&format!("cn=p1,ou=people,{SUFFIX}"))]);
}

#[tokio::test]
async fn l75_a_server_that_forgot_its_newest_change_ends_in_a_listing() {
    let mut slapd = Slapd::start(&directory_of(3));
    let (mut space, mut directory) = (Space::default(), LdapDirectory::new(options(slapd.url())));
    space.poll(&mut directory).await.unwrap();
    slapd.modify(&add("new"));
    slapd.modify(&delete("p0"));
    space.poll(&mut directory).await.unwrap();
    slapd.kill9();
    slapd.restart();
    for _ in 0..2 {
        space.poll(&mut directory).await.unwrap();
        assert_equals_a_fresh_listing(&space, &slapd).await;
    }
    slapd.modify(&delete("p1"));
    space.poll(&mut directory).await.unwrap();
    assert_equals_a_fresh_listing(&space, &slapd).await;
}

#[tokio::test]
async fn l02_a_crash_after_any_batch_ends_in_the_same_state() {
    let slapd = Slapd::start(&directory_of(2_500));
    for batches_max in 0..4 {
        let mut space = Space { batches_max: Some(batches_max), ..Space::default() };
        let error = space.poll(&mut LdapDirectory::new(options(slapd.url()))).await.unwrap_err();
        assert!(matches!(error, DirectoryError::Sink(_)), "{error:?}");
        space.batches_max = None;
        space.poll(&mut LdapDirectory::new(options(slapd.url()))).await.unwrap();
        assert_equals_a_fresh_listing(&space, &slapd).await;
    }
}

#[tokio::test]
async fn l36_a_killed_server_is_unavailable_and_deletes_nothing() {
    let mut slapd = Slapd::start(&directory_of(3));
    let (mut space, mut directory) = (Space::default(), LdapDirectory::new(options(slapd.url())));
    space.poll(&mut directory).await.unwrap();
    let known = space.dns();
    slapd.kill9();
    for _ in 0..2 {
        let error = space.poll(&mut directory).await.unwrap_err();
        assert!(matches!(error, DirectoryError::Unavailable { .. }), "{error:?}");
    }
    assert_eq!(space.dns(), known);
    slapd.restart();
    space.poll(&mut directory).await.unwrap();
    assert_equals_a_fresh_listing(&space, &slapd).await;
}

#[tokio::test]
async fn l23_a_frozen_server_is_given_up_in_time() {
    let slapd = Slapd::start(&directory_of(3));
    let mut space = Space::default();
    space.poll(&mut LdapDirectory::new(options(slapd.url()))).await.unwrap();
    let bind = Duration::from_millis(200);
    let limits = Limits { bind, ..Limits::default() };
    let mut directory = LdapDirectory::new(LdapOptions { limits, ..options(slapd.url()) });
    slapd.freeze();
    let error = space.poll(&mut directory).await.unwrap_err();
    slapd.thaw();
    assert!(matches!(error, DirectoryError::Unavailable { .. }), "{error:?}");
    assert_eq!(space.dns().len(), 6);
}

#[tokio::test]
async fn l05_a_withdrawn_right_and_a_vanished_base_delete_nothing() {
    let hidden = format!("ou=hidden,{SUFFIX}");
    let ldif = format!("dn: {hidden}\nobjectClass: organizationalUnit\nou: hidden\n\n");
    let slapd = Slapd::start(&(directory_of(0) + &ldif));
    for base in [hidden, format!("ou=nowhere,{SUFFIX}")] {
        let known = SourceState { objects: 9, ..SourceState::default() };
        let states = BTreeMap::from([(base.clone(), known)]);
        let (kind, bases) = (ServerKind::Generic, vec![base]);
        let mut directory = LdapDirectory::new(LdapOptions { bases, kind, ..options(slapd.url()) });
        let result = directory.poll(&states, PollMode::Full, &mut Space::default()).await;
        assert!(matches!(result, Err(DirectoryError::Config { .. })), "{result:?}");
    }
}

#[tokio::test]
async fn an_account_without_rights_gets_an_error_and_no_empty_listing() {
    let slapd = Slapd::start(&directory_of(1));
    let anonymous = LdapOptions { bind: Bind::Anonymous, ..options(slapd.url()) };
    let error = Space::default().poll(&mut LdapDirectory::new(anonymous)).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Config { .. }), "{error:?}");
}

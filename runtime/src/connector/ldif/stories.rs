//! What becomes of files: good and broken ones, polled once and again.

use std::sync::atomic::{AtomicI64, Ordering};

use expect_test::{Expect, expect};
use kakehi_engine::time::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::connector::recorder::Recorder;

/// Long after every file was written.
struct Later;

impl Clock for Later {
    fn now(&self) -> Timestamp {
        Timestamp(i64::MAX)
    }
}

/// Files in a folder of their own, and what is known of them.
struct Feed {
    folder: TempDir,
    directory: LdifDirectory,
    states: BTreeMap<String, SourceState>,
}

impl Feed {
    /// `file`: the content file; without one the folder itself is the source.
    fn new(anchor: &str, file: Option<&str>) -> Self {
        let folder = TempDir::new().unwrap();
        let path = file.map_or(folder.path().to_owned(), |file| folder.path().join(file));
        let names = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
        let options = LdifOptions {
            name: "hr".into(),
            source: LdifSource::Path(path),
            anchor: anchor.into(),
            attributes: names(&["cn", "mail", "manager", "uidNumber", "jpegPhoto"]),
            links: BTreeSet::new(),
            classes: [ClassName::from("person")].into(),
        };
        let directory = LdifDirectory::new(options, Arc::new(Later));
        Self { folder, directory, states: BTreeMap::new() }
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    /// Polls and keeps the state, as a store would.
    async fn poll(&mut self, expected: Expect) {
        let mut sink = Recorder::default();
        let end = self.directory.poll(&self.states, PollMode::Delta, &mut sink).await;
        let mut lines = sink.lines();
        lines.push(match end {
            Ok(end) => format!("{} entries, full {}", end.entries, end.full),
            Err(error) => {
                let folder = format!("{}", self.folder.path().display());
                error.to_string().replace(&folder, "FOLDER")
            }
        });
        for batch in sink.0 {
            self.states.extend(batch.next.map(|next| (batch.partition, next)));
        }
        expected.assert_eq(&lines.join("\n"));
    }
}

fn person(number: u32, more: &str) -> String {
    format!("dn: cn={number},dc=x\nobjectClass: person\nemployeeNumber: {number}\n{more}\n")
}

#[tokio::test]
async fn l90_a_content_file_is_a_listing_and_the_same_file_is_no_change() {
    let mut feed = Feed::new("employeeNumber", Some("hr.ldif"));
    feed.write("hr.ldif", &(person(1, "cn: a\n") + &person(2, "manager:: /w==\n")));
    feed.poll(expect![[r#"
        [begin 1 first] => - g1 n0
        [upsert cn=1,dc=x, upsert cn=2,dc=x, fault 2 manager: a DN is not UTF-8, end 1] => - g1 n2
        2 entries, full true"#]])
        .await;
    feed.poll(expect!["0 entries, full false"]).await;
    feed.write("hr.ldif", &person(1, ""));
    feed.poll(expect![[r#"
        [begin 2 schedule] => - g2 n2
        [upsert cn=1,dc=x, end 2] => - g2 n1
        1 entries, full true"#]])
        .await;
}

#[tokio::test]
async fn l90_a_cut_or_faulty_file_changes_nothing() {
    let mut feed = Feed::new("employeeNumber", Some("hr.ldif"));
    let good = person(1, "") + &person(2, "cn: b\n");
    feed.write("hr.ldif", &good[..good.len() - 4]);
    feed.poll(expect![
        "source `hr`: `FOLDER/hr.ldif`, line 8: the last line does not end: the text is cut"
    ])
    .await;
    feed.write("hr.ldif", &(person(1, "") + "dn: cn=2\ncn: b\n"));
    feed.poll(expect![
        "source `hr`: `FOLDER/hr.ldif`, line 5: the anchor `employeeNumber` is missing"
    ])
    .await;
    feed.write("hr.ldif", &person(1, "employeeNumber: 2\n"));
    feed.poll(expect![
        "source `hr`: `FOLDER/hr.ldif`, line 1: the anchor `employeeNumber` has more than one value"
    ])
    .await;
    feed.write("hr.ldif", &(person(1, "") + &person(1, "")));
    feed.poll(expect!["source `hr`: `FOLDER/hr.ldif`, line 5: another record has the same anchor"])
        .await;
    feed.write("hr.ldif", &(person(1, "") + "dn: cn=1,dc=x\nchangetype: delete\n"));
    feed.poll(expect![
        "source `hr`: `FOLDER/hr.ldif`, line 5: change records belong into a folder of change files"
    ])
    .await;
}

#[tokio::test]
async fn l05_an_emptied_file_deletes_nothing() {
    let mut feed = Feed::new("dn", Some("hr.ldif"));
    feed.write("hr.ldif", &person(1, ""));
    feed.poll(expect![[r#"
        [begin 1 first] => - g1 n0
        [upsert cn=1,dc=x, end 1] => - g1 n1
        1 entries, full true"#]])
        .await;
    feed.write("hr.ldif", "");
    feed.poll(expect!["source `hr`: `FOLDER/hr.ldif` holds no record, where it held 1"]).await;
}

#[tokio::test]
async fn l91_l92_change_files_are_taken_once_and_in_order() {
    let mut feed = Feed::new("employeeNumber", None);
    let add = |number| {
        person(number, "cn: a\n").replacen("objectClass", "changetype: add\nobjectClass", 1)
    };
    feed.write("1.ldif", &(add(1) + &add(2)));
    feed.write("ignored.txt", "not LDIF");
    feed.poll(expect![[r#"
        [upsert cn=1,dc=x, upsert cn=2,dc=x] => - g1 n0
        2 entries, full false"#]])
        .await;
    feed.poll(expect!["0 entries, full false"]).await;
    let change = concat!(
        "dn: CN=1, dc=x\nchangetype: modify\nreplace: mail\nmail: m\n-\n",
        "add: manager\nmanager: cn=2,dc=x\n-\ndelete: cn\ncn: a\n-\nadd: title\ntitle: t\n\n",
    );
    let rename = "dn: cn=1,dc=x\nchangetype: modrdn\nnewrdn: cn=9\ndeleteoldrdn: 1\n\n";
    let delete = "dn: cn=9,dc=x\nchangetype: delete\n\n";
    feed.write("2.ldif", &[change, rename].concat());
    feed.write("3.ldif", delete);
    feed.poll(expect![[r#"
        [partial 1 mail=["m"] manager+["cn=2,dc=x"] cn-["a"], partial 1 dn cn=9,dc=x] => - g1 n0
        [delete 1] => - g1 n0
        0 entries, full false"#]])
        .await;
    feed.write("2.ldif", change);
    feed.poll(expect!["source `hr`: `FOLDER/2.ldif` was taken before with another content"]).await;
}

#[tokio::test]
async fn several_modifications_of_one_attribute_come_to_one_change() {
    let modify = |changes: &str| {
        let mut text = "dn: employeeNumber=7,dc=x\nchangetype: modify\n".to_owned();
        text.push_str(changes);
        text
    };
    for (changes, expected) in [
        ("delete: cn\n-\nadd: cn\ncn: a\n", r#"partial 7 cn=["a"]"#),
        ("add: cn\ncn: a\n-\ndelete: cn\ncn: a\n", r#"partial 7 cn-["a"]"#),
        ("delete: cn\ncn: a\n-\nadd: cn\ncn: a\n", r#"partial 7 cn+["a"]"#),
        ("add: cn\ncn: a\n-\nreplace: cn\n", "partial 7 cn=[]"),
        ("replace: cn\ncn: a\ncn: b\n-\ndelete: cn\ncn: a\n", r#"partial 7 cn=["b"]"#),
        ("replace: userPassword\nuserPassword: secret\n", ""),
    ] {
        let mut feed = Feed::new("employeeNumber", None);
        feed.write("1.ldif", &modify(changes));
        let mut sink = Recorder::default();
        feed.directory.poll(&feed.states, PollMode::Delta, &mut sink).await.unwrap();
        assert_eq!(sink.lines(), [format!("[{expected}] => - g1 n0")], "{changes}");
    }
}

#[tokio::test]
async fn a_change_that_cannot_be_carried_out_takes_its_file_with_it() {
    for (text, expected) in [
        ("dn: cn=1,dc=x\ncn: a\n", "content records belong into a file of their own"),
        ("dn: cn=1,dc=x\nchangetype: delete\n", "no earlier record added this DN"),
        (
            "dn: employeeNumber=1\nchangetype: modify\nadd: employeeNumber\nemployeeNumber: 2\n",
            "the anchor `employeeNumber` cannot be modified",
        ),
    ] {
        let mut feed = Feed::new("employeeNumber", None);
        feed.write("1.ldif", &format!("dn: employeeNumber=5\nchangetype: delete\n\n{text}"));
        let mut sink = Recorder::default();
        let error =
            feed.directory.poll(&feed.states, PollMode::Delta, &mut sink).await.unwrap_err();
        assert!(error.to_string().ends_with(&format!("1.ldif`, line 4: {expected}")), "{error}");
        assert!(sink.0.is_empty());
    }
}

/// Every look at it is five seconds later than the one before; the first one is 10 ms too early.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(QUIET_MS_MIN, Ordering::Relaxed))
    }
}

#[tokio::test]
async fn l95_a_file_is_left_alone_until_nobody_writes_to_it() {
    let mut feed = Feed::new("employeeNumber", Some("hr.ldif"));
    feed.write("hr.ldif", &person(1, ""));
    let written = feed.folder.path().join("hr.ldif").metadata().unwrap().modified().unwrap();
    let written = written.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64;
    let clock = Arc::new(Ticking(AtomicI64::new(written + QUIET_MS_MIN - 10)));
    feed.directory.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    feed.poll(expect![[r#"
        [begin 1 first] => - g1 n0
        [upsert cn=1,dc=x, end 1] => - g1 n1
        1 entries, full true"#]])
        .await;
    assert_eq!(clock.0.load(Ordering::Relaxed), written + 3 * QUIET_MS_MIN - 10);
}

#[tokio::test]
async fn a_built_in_text_needs_no_file() {
    let options = LdifOptions {
        name: "demo".into(),
        source: LdifSource::Text {
            name: "demo".to_owned(),
            text: "dn: cn=a\nobjectClass: person\nentryUUID: 00000000000000000000000000000007\n",
        },
        anchor: "entryUUID".into(),
        attributes: BTreeSet::new(),
        links: BTreeSet::new(),
        classes: BTreeSet::new(),
    };
    let mut sink = Recorder::default();
    let mut directory = LdifDirectory::new(options, Arc::new(Later));
    directory.poll(&BTreeMap::new(), PollMode::Delta, &mut sink).await.unwrap();
    let Change::Upsert(entry) = &sink.0[1].changes[0] else { panic!("no entry") };
    assert_eq!((entry.anchor.0.len(), entry.class.as_str()), (16, "person"));
}

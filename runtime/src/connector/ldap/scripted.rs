//! A server that says what a script has it say, right or wrong, and the stories of how we take it.

mod connecting;
mod guarding;
mod listing;
mod passwords;
mod syncing;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use expect_test::{Expect, expect};

use super::ber::{self, BOOLEAN, ENUMERATED, OCTETS, SEQUENCE, SET, put, put_integer};
use super::connect::Connection;
use super::control::{PAGED, SYNC_DONE, SYNC_INFO, SYNC_STATE};
use super::message::encode::{entry, message, outcome};
use super::message::{
    ABANDON, BIND_ANSWER, DONE, ENTRY, EXTENDED_ANSWER, INTERMEDIATE, Message, REFERENCE, UNBIND,
};
use super::*;
use crate::config::secret::Secret;
use crate::connector::recorder::Recorder;

/// What the server does after one more request: takes its message id, gives bytes.
type Answer = Box<dyn FnOnce(i32) -> Vec<u8> + Send>;

/// A server for one connection. It answers one request after the other and then hangs up, or, if
/// asked to stay, listens on. Gives the operations it was asked for.
struct Scripted {
    url: String,
    thread: JoinHandle<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq)]
enum After {
    HangUp,
    Stay,
}

impl Scripted {
    fn start(answers: Vec<Answer>, after: After) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ldap://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut asked, mut answers) = (vec![], answers.into_iter());
            while let Some(request) = read_message(&mut stream) {
                let request = Message::parse(&request).unwrap();
                asked.push(request.tag);
                let Some(answer) = answers.next() else { continue };
                // Whoever has seen enough hangs up while we still write.
                let _ = stream.write_all(&answer(request.id));
                if answers.len() == 0 && after == After::HangUp {
                    break;
                }
            }
            asked
        });
        Self { url, thread }
    }
}

impl Scripted {
    /// The operations of all requests. Waits without blocking the tasks that still say goodbye.
    async fn asked(self) -> Vec<u8> {
        tokio::task::spawn_blocking(|| self.thread.join().unwrap()).await.unwrap()
    }
}

fn read_message(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut bytes = vec![];
    loop {
        if let Some(header) = ber::header(&bytes).unwrap() {
            bytes.resize(header.head + header.content, 0);
            let got = header.head;
            stream.read_exact(&mut bytes[got..]).ok()?;
            return Some(bytes);
        }
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
}

fn options(url: &str, kind: ServerKind) -> LdapOptions {
    LdapOptions {
        name: "hr".into(),
        kind,
        urls: vec![url.to_owned()],
        starttls: false,
        tls: TlsOptions::default(),
        insecure: false,
        bind: Bind::Anonymous,
        bases: vec!["dc=x".into()],
        filter: options::FILTER.into(),
        attributes: ["cn".into()].into(),
        links: [].into(),
        classes: ["person".into()].into(),
        limits: Limits::default(),
    }
}

/// What a poll came to, as text: batches line by line, then the end or the error without its place.
async fn polled(
    directory: &mut LdapDirectory,
    states: &BTreeMap<String, SourceState>,
) -> (String, Option<SourceState>) {
    let mut sink = Recorder::default();
    let end = directory.poll(states, PollMode::Delta, &mut sink).await;
    let mut lines = sink.lines();
    lines.push(match end {
        Ok(end) => {
            format!("{} entries, {} referrals, full {}", end.entries, end.referrals, end.full)
        }
        Err(error) => {
            let kind = format!("{error:?}");
            let kind = kind.split([' ', '(']).next().unwrap_or_default().to_owned();
            let text = error.to_string();
            let url = directory.options.urls[0].clone();
            let mut text = text.replace(&format!("`{url}`"), "URL");
            for place in
                ["source `hr`: ", "the server broke the protocol: ", "URL, base `dc=x`: ", "URL: "]
            {
                text = text.replacen(place, "", 1);
            }
            format!("{kind}: {text}")
        }
    });
    (lines.join("\n"), sink.0.into_iter().filter_map(|batch| batch.next).next_back())
}

fn id(number: u8) -> [u8; 16] {
    let mut id = [0; 16];
    id[15] = number;
    id
}

fn person(number: u8) -> Vec<u8> {
    let uuid = format!("00000000-0000-0000-0000-0000000000{number:02x}");
    let cn = number.to_string();
    entry(
        &format!("cn={number},dc=x"),
        &[
            ("objectClass", &[b"person"]),
            ("entryUUID", &[uuid.as_bytes()]),
            ("cn", &[cn.as_bytes()]),
        ],
    )
}

fn done(id: i32, code: u8) -> Vec<u8> {
    message(id, DONE, &outcome(code, ""), &[])
}

/// The answer to the look at the rootDSE.
fn root() -> Answer {
    Box::new(|id| {
        let controls: &[&[u8]] = &[b"1.3.6.1.4.1.4203.1.9.1.1"];
        let root = entry("", &[("namingContexts", &[b"dc=x"]), ("supportedControl", controls)]);
        [message(id, ENTRY, &root, &[]), done(id, 0)].concat()
    })
}

/// The answer to the look at contextCSN.
fn context_csn(csn: &'static str) -> Answer {
    Box::new(move |id| {
        let suffix = entry("dc=x", &[("contextCSN", &[csn.as_bytes()])]);
        [message(id, ENTRY, &suffix, &[]), done(id, 0)].concat()
    })
}

fn page_control(cookie: &[u8]) -> Vec<u8> {
    put(SEQUENCE, &[put_integer(0), put(OCTETS, cookie)].concat())
}

/// A page of a listing.
fn page(people: &'static [u8], cookie: &'static [u8]) -> Answer {
    Box::new(move |id| {
        let mut bytes: Vec<u8> =
            people.iter().flat_map(|number| message(id, ENTRY, &person(*number), &[])).collect();
        bytes.extend(message(id, DONE, &outcome(0, ""), &[(PAGED, &page_control(cookie))]));
        bytes
    })
}

fn raw(bytes: impl FnOnce(i32) -> Vec<u8> + Send + 'static) -> Answer {
    Box::new(bytes)
}

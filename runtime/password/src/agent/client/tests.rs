//! The way to the intake against an intake that says what it is told, and against real TLS.

use std::process::Command;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::agent::testing::{FakeIntake, Scripted, World};

/// The outcome of sending one capture, in one line.
async fn sent(intake: &Intake, envelope: &Envelope) -> String {
    match intake.send(envelope).await {
        Ok(status) => status.0,
        Err(SendError::Away { why, retry_after }) => format!("away {retry_after:?} {why}"),
        Err(SendError::Refused { status, text }) => format!("refused {status} {text}"),
    }
}

fn envelope(world: &World) -> Envelope {
    let agent = world.agent();
    let change = crate::agent::Change {
        key_type: crate::envelope::KeyType::Login,
        user_key: "u1".into(),
        login: "u1".into(),
        captured_at_ms: None,
        operation: kakehi_engine::password::Operation::Change,
    };
    let password = crate::secret::Password::new(zeroize::Zeroizing::new("ひみつ😀".to_owned()));
    agent.seal(&change, agent.number().unwrap(), &password).unwrap()
}

#[tokio::test]
async fn every_answer_has_its_meaning() {
    let world = World::new();
    let envelope = envelope(&world);
    let script: [(Scripted, &str); 12] = [
        ((202, None, r#"{"status":"queued"}"#), "queued"),
        ((202, None, r#"{"status":"duplicate","more":1}"#), "duplicate"),
        ((202, None, "<html>"), "away None its 202 carries no status: that is not the intake"),
        ((200, None, ""), "refused 200 "),
        ((400, None, "bad\u{7} envelope"), "refused 400 bad  envelope"),
        ((401, None, ""), "refused 401 "),
        ((403, None, "not this source"), "refused 403 not this source"),
        ((404, None, ""), "refused 404 "),
        ((413, None, ""), "refused 413 "),
        ((429, Some(("retry-after", "7")), "slow"), "away Some(7s) 429 slow"),
        ((429, Some(("retry-after", "soon")), ""), "away None 429 "),
        ((503, None, "full"), "away None 503 full"),
    ];
    let answers: Vec<_> = script.iter().map(|(answer, _)| *answer).collect();
    let fake = FakeIntake::listen(&world.socket(), &answers);
    let intake = Intake::new(&Address::Socket(world.socket())).unwrap();
    for (answer, expected) in script {
        assert_eq!(sent(&intake, &envelope).await, expected, "{answer:?}");
    }
    assert_eq!(fake.got()[0].as_bytes(), envelope.as_bytes());
    fake.say((200, None, "kakehi-password-key-v1 x25519 00 AA\n"));
    assert_eq!(intake.public_key().await.unwrap(), "kakehi-password-key-v1 x25519 00 AA");
}

#[tokio::test]
async fn nobody_there_and_nobody_answering_are_the_same() {
    let world = World::new();
    let envelope = envelope(&world);
    let intake = Intake::new(&Address::Socket(world.socket())).unwrap();
    assert!(sent(&intake, &envelope).await.starts_with("away None `"));
    // It takes the connection and says nothing.
    let _silent = tokio::net::UnixListener::bind(world.socket()).unwrap();
    let intake = intake.within(Duration::from_millis(20));
    assert_eq!(sent(&intake, &envelope).await, "away None no answer within 20 ms");
}

#[test]
fn an_address_is_a_host_behind_https() {
    for (url, expected) in [
        ("https://a.example", Some(("a.example", 443))),
        ("https://a.example:8443/", Some(("a.example", 8443))),
        ("https://[::1]:8443", Some(("[::1]", 8443))),
        ("http://a.example", None),
        ("https://a.example/path", None),
        ("https://user@a.example", None),
        ("a.example", None),
        ("", None),
    ] {
        let found = host_and_port(url).ok();
        let expected = expected.map(|(host, port)| (host.to_owned(), port));
        assert_eq!(found, expected, "{url}");
    }
}

/// An authority, and certificates for a server on loopback and for an agent, as PEM files.
struct Authority(TempDir);

impl Authority {
    fn new() -> Self {
        let this = Self(TempDir::new().expect("a temporary folder"));
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        this.openssl(&format!("req -x509 -days 2 -subj /CN=ca {key} -keyout ca.key -out ca.pem"));
        for (name, alternative) in [("server", "IP:127.0.0.1"), ("agent", "DNS:dc1")] {
            let extensions = format!("subjectAltName={alternative}\n");
            std::fs::write(this.path(&format!("{name}.ext")), extensions).expect("a new file");
            this.openssl(&format!("req -subj /CN=x {key} -keyout {name}.key -out {name}.csr"));
            this.openssl(&format!(
                "x509 -req -days 2 -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
                 -extfile {name}.ext -out {name}.pem"
            ));
        }
        this
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let output = command.args(arguments.split_whitespace()).current_dir(self.0.path()).output();
        let output = output.expect("openssl is not installed: run cargo verify");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// An intake that admits agents of this authority and answers every request with `queued`.
    async fn serve(
        &self,
        version: &'static rustls::SupportedProtocolVersion,
    ) -> (JoinSet<()>, String) {
        let mut roots = RootCertStore::empty();
        roots.add(certificates(&self.path("ca.pem")).expect("PEM").remove(0)).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let agents = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .expect("a version that rustls has")
            .with_client_cert_verifier(agents.build().expect("a verifier"))
            .with_single_cert(
                certificates(&self.path("server.pem")).expect("PEM"),
                PrivateKeyDer::from_pem_file(self.path("server.key")).expect("PEM"),
            )
            .expect("a certificate and its key");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("https://{}", listener.local_addr().expect("it is bound"));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a socket");
                if let Ok(stream) = acceptor.accept(stream).await {
                    crate::agent::testing::answer_queued(stream).await;
                }
            }
        });
        (tasks, url)
    }

    /// An agent of this authority that trusts `trusted` only.
    fn agent(&self, url: &str, trusted: &Self) -> Intake {
        let tls = TlsFiles {
            ca: trusted.path("ca.pem"),
            certificate: self.path("agent.pem"),
            key: self.path("agent.key"),
        };
        Intake::new(&Address::Https { url: url.to_owned(), tls }).expect("files that can be read")
    }
}

#[tokio::test]
async fn l05_both_ends_prove_who_they_are_or_nothing_is_sent() {
    let world = World::new();
    let envelope = envelope(&world);
    let (ours, others) = (Authority::new(), Authority::new());
    let (_tasks, url) = ours.serve(&rustls::version::TLS13).await;
    assert_eq!(sent(&ours.agent(&url, &ours), &envelope).await, "queued");
    let untrusted = sent(&ours.agent(&url, &others), &envelope).await;
    assert!(untrusted.starts_with("away None `127.0.0.1:"), "{untrusted}");
    assert!(untrusted.contains("invalid peer certificate"), "{untrusted}");
    let foreign = sent(&others.agent(&url, &ours), &envelope).await;
    assert!(foreign.starts_with("away None "), "{foreign}");
    // The certificate does not carry this name.
    let by_name = url.replace("127.0.0.1", "localhost");
    let by_name = sent(&ours.agent(&by_name, &ours), &envelope).await;
    assert!(by_name.contains("invalid peer certificate"), "{by_name}");
    let (_tasks, old) = ours.serve(&rustls::version::TLS12).await;
    let old = sent(&ours.agent(&old, &ours), &envelope).await;
    assert!(old.starts_with("away None `127.0.0.1:"), "{old}");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let ours = Authority::new();
    std::fs::write(ours.path("empty.pem"), "").unwrap();
    let load = |ca: &str, certificate: &str, key: &str| {
        let path = |name| ours.path(name);
        let tls = TlsFiles { ca: path(ca), certificate: path(certificate), key: path(key) };
        tls.load().err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(load("ca.pem", "agent.pem", "agent.key"), "");
    for (wrong, expected) in [
        (load("none.pem", "agent.pem", "agent.key"), "none.pem`"),
        (load("empty.pem", "agent.pem", "agent.key"), "empty.pem` holds no certificate"),
        (load("ca.pem", "agent.pem", "ca.pem"), "cannot read `"),
        (load("ca.pem", "agent.pem", "server.key"), "certificate or key cannot be used"),
    ] {
        assert!(wrong.contains(expected), "{wrong}");
    }
}

//! Mails by SMTP: a message flows in, and a server of the configuration answers for it, or not.
//!
//! Every stage before the mail itself (connection, TLS, login) fails for all mails alike and is
//! worth another try; only what the server answers to the mail can be final. The login is never
//! sent in the clear, and mail in the clear only to this machine.

use std::error::Error as _;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::compose::{compose, mailbox};
use super::{Fault, MailError, Mailer, Message};
use crate::door::Contact;
use crate::secret::Password;

/// How long a server may take to say goodbye to a mail that it has taken already.
const GOODBYE: Duration = Duration::from_secs(5);

/// PLAIN first: LOGIN is kept for servers that know nothing else.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Begins in the clear and must become TLS before anything is said; usually port 587.
    Starttls,
    /// TLS from the first byte; usually port 465.
    Tls,
    /// In the clear: to this machine only, and without a login.
    None,
}

/// A mail server, and what it is told about us.
pub struct SmtpOptions {
    /// Name or address; the certificate must carry it.
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// PEM file of the only authorities that are trusted; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// Login; with a password, or neither.
    pub user: Option<String>,
    pub password: Option<Password>,
    /// What stands in `From`: an address that nobody reads.
    pub from: Contact,
    /// For one mail as a whole.
    pub timeout: Duration,
    /// What this machine calls itself: a host name, or an address in brackets.
    pub hello: String,
}

/// Why mails cannot be sent with this configuration. The key is named as [`SmtpOptions`] does.
#[derive(Debug, thiserror::Error)]
pub enum SmtpOptionsError {
    #[error("`security` none is for a mail server on this machine only, not for `{host}`")]
    ClearTextAfar { host: String },
    #[error("`user` needs TLS: a login is never sent in the clear")]
    ClearTextLogin,
    #[error("`user` and the password belong together: one of them is missing")]
    HalfLogin,
    #[error("`from` is not an address: `{address}`")]
    From { address: String },
    #[error("`hello` is not a host name: `{hello}`")]
    Hello { hello: String },
    #[error("`host` is not a host name or an address: `{host}`")]
    Host { host: String },
    #[error("cannot read `ca`, `{}`", path.display())]
    CaUnreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`ca`, `{}`, holds no certificate in PEM form that could be used", path.display())]
    CaUseless { path: PathBuf },
    #[error("TLS cannot be set up")]
    Tls,
}

/// Sends each mail over a connection of its own: mails are few, and a connection that was kept
/// could be dead.
pub struct SmtpMailer {
    options: SmtpOptions,
    from: Mailbox,
    hello: ClientId,
    /// `None`: in the clear, to this machine.
    tls: Option<TlsParameters>,
}

// === impl Security ===

impl Security {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starttls => "starttls",
            Self::Tls => "tls",
            Self::None => "none",
        }
    }
}

// === impl SmtpMailer ===

impl SmtpMailer {
    /// Judges the configuration and reads the authorities; nothing is connected.
    ///
    /// Errors: the first key that cannot be used, with its name.
    pub fn new(options: SmtpOptions) -> Result<Self, SmtpOptionsError> {
        if options.security == Security::None {
            if !is_this_machine(&options.host) {
                return Err(SmtpOptionsError::ClearTextAfar { host: options.host });
            }
            if options.user.is_some() {
                return Err(SmtpOptionsError::ClearTextLogin);
            }
        }
        if options.user.is_some() != options.password.is_some() {
            return Err(SmtpOptionsError::HalfLogin);
        }
        let from = mailbox(&options.from)
            .map_err(|_| SmtpOptionsError::From { address: options.from.address.clone() })?;
        let hello = client_id(&options.hello)?;
        if !is_host(&options.host) {
            return Err(SmtpOptionsError::Host { host: options.host });
        }
        let tls = match options.security {
            Security::None => None,
            Security::Starttls | Security::Tls => Some(trust(&options)?),
        };
        Ok(Self { options, from, hello, tls })
    }

    /// Connects, and speaks of a mail only when the connection is as protected as configured.
    async fn connected(&self) -> Result<AsyncSmtpConnection, Fault> {
        let server = (self.options.host.as_str(), self.options.port);
        let first_byte_tls = match self.options.security {
            Security::Tls => self.tls.clone(),
            Security::Starttls | Security::None => None,
        };
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, None, &self.hello, first_byte_tls, None)
                .await
                .map_err(|error| before_mail(&error))?;
        if let (Security::Starttls, Some(tls)) = (self.options.security, &self.tls) {
            if !connection.can_starttls() {
                return Err(Fault::NoStartTls);
            }
            connection
                .starttls(tls.clone(), &self.hello)
                .await
                .map_err(|error| before_mail(&error))?;
        }
        if let (Some(user), Some(password)) = (&self.options.user, &self.options.password) {
            // Holds by construction; a slip here would give the login away.
            if !connection.is_encrypted() {
                return Err(Fault::Tls);
            }
            // The one place where it is opened. The copy ends with this call; the library does not
            // overwrite it.
            let login = Credentials::new(user.clone(), password.expose().to_owned());
            connection.auth(&MECHANISMS, &login).await.map_err(|error| at_login(&error))?;
        }
        Ok(connection)
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, message: &Message) -> Result<(), MailError> {
        let letter = compose(message, &self.from)?;
        let delivery = async {
            let mut connection = self.connected().await.map_err(MailError::Temporary)?;
            match connection.send(letter.envelope(), &letter.formatted()).await {
                Ok(_) => Ok(connection),
                Err(error) => Err(at_mail(&error)),
            }
        };
        let timely = tokio::time::timeout(self.options.timeout, delivery).await;
        let mut connection = timely.unwrap_or(Err(MailError::Temporary(Fault::Timeout)))?;
        // The mail is taken: how the server says goodbye changes nothing, and another try would be
        // a second mail.
        let _ = tokio::time::timeout(GOODBYE, connection.quit()).await;
        Ok(())
    }
}

// === Configuration ===

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_host(host: &str) -> bool {
    rustls::pki_types::ServerName::try_from(host).is_ok()
}

fn client_id(hello: &str) -> Result<ClientId, SmtpOptionsError> {
    let refused = || SmtpOptionsError::Hello { hello: hello.to_owned() };
    let address = hello.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match address.map(|text| text.strip_prefix("IPv6:").unwrap_or(text).parse::<IpAddr>()) {
        Some(Ok(IpAddr::V4(address))) => Ok(ClientId::Ipv4(address)),
        Some(Ok(IpAddr::V6(address))) => Ok(ClientId::Ipv6(address)),
        Some(Err(_)) => Err(refused()),
        None if is_host(hello) && hello.parse::<IpAddr>().is_err() => {
            Ok(ClientId::Domain(hello.to_owned()))
        }
        None => Err(refused()),
    }
}

fn trust(options: &SmtpOptions) -> Result<TlsParameters, SmtpOptionsError> {
    let mut builder = TlsParameters::builder(options.host.clone());
    if let Some(path) = &options.ca {
        let pem = fs::read(path)
            .map_err(|source| SmtpOptionsError::CaUnreadable { path: path.clone(), source })?;
        let useless = || SmtpOptionsError::CaUseless { path: path.clone() };
        // A file without certificates would be taken, and trust nobody.
        if CertificateDer::pem_slice_iter(&pem).next().is_none() {
            return Err(useless());
        }
        let authorities = Certificate::from_pem(&pem).map_err(|_| useless())?;
        builder =
            builder.certificate_store(CertificateStore::None).add_root_certificate(authorities);
        return builder.build().map_err(|_| useless());
    }
    builder.build().map_err(|_| SmtpOptionsError::Tls)
}

// === What went wrong ===

/// While connecting, greeting and protecting.
fn before_mail(error: &SmtpError) -> Fault {
    match reply_code(error) {
        Some(code) => Fault::Greeting(code),
        None => broken(error),
    }
}

fn at_login(error: &SmtpError) -> Fault {
    match reply_code(error) {
        Some(code) => Fault::Login(code),
        // The library refuses by itself only when no mechanism fits.
        None if error.is_client() => Fault::NoLogin,
        None => broken(error),
    }
}

fn at_mail(error: &SmtpError) -> MailError {
    let Some(code) = reply_code(error) else {
        return if error.is_client() {
            // An address outside of ASCII, and a server without SMTPUTF8 (RFC 6531).
            MailError::Permanent(Fault::Address)
        } else {
            MailError::Temporary(broken(error))
        };
    };
    // "Authentication required" and its kin (RFC 4954 6) speak of us and not of the mail.
    if matches!(code, 530 | 534 | 535 | 538) {
        MailError::Temporary(Fault::Login(code))
    } else if error.is_permanent() {
        MailError::Permanent(Fault::Reply(code))
    } else {
        MailError::Temporary(Fault::Reply(code))
    }
}

fn reply_code(error: &SmtpError) -> Option<u16> {
    error.status().map(u16::from)
}

/// The library calls everything a connection error; what TLS had against it lies further down.
fn broken(error: &SmtpError) -> Fault {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            let tls = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            match tls {
                Some(rustls::Error::InvalidCertificate(_)) => return Fault::Certificate,
                Some(_) => return Fault::Tls,
                None => {}
            }
        }
        source = cause.source();
    }
    if error.is_tls() { Fault::Tls } else { Fault::Connection }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn options() -> SmtpOptions {
        SmtpOptions {
            host: "127.0.0.1".into(),
            port: 25,
            security: Security::None,
            ca: None,
            user: None,
            password: None,
            from: Contact { address: "no-reply@example.test".into(), display_name: "K".into() },
            timeout: Duration::from_secs(5),
            hello: "kakehi.example.test".into(),
        }
    }

    fn refused(change: impl FnOnce(&mut SmtpOptions)) -> String {
        let mut options = options();
        change(&mut options);
        SmtpMailer::new(options).err().expect("it is refused").to_string()
    }

    #[test]
    fn mail_in_the_clear_goes_to_this_machine_only() {
        for host in ["127.0.0.1", "127.8.8.8", "::1", "localhost"] {
            let mut options = options();
            options.host = host.into();
            assert!(SmtpMailer::new(options).is_ok(), "{host}");
        }
        for host in ["mail.example.test", "10.0.0.1", "localhost.example.test"] {
            let told = refused(|options| options.host = host.into());
            assert!(told.contains("on this machine only") && told.contains(host), "{told}");
        }
    }

    #[test]
    fn a_login_is_refused_without_tls_and_in_halves() {
        let password = || Some(Password::new(Zeroizing::new("smtp-secret".to_owned())));
        let told = refused(|options| {
            options.user = Some("kakehi".into());
            options.password = password();
        });
        assert!(told.contains("never sent in the clear") && !told.contains("smtp-secret"));
        assert!(refused(|options| options.password = password()).contains("belong together"));
        let told = refused(|options| {
            options.security = Security::Tls;
            options.user = Some("kakehi".into());
        });
        assert!(told.contains("belong together"));
    }

    #[test]
    fn keys_that_cannot_be_used_are_named() {
        let told = refused(|options| options.from.address = "nobody".into());
        assert_eq!(told, "`from` is not an address: `nobody`");
        for hello in ["", "two words", "a\r\nRSET", "127.0.0.1", "[127.0.0.300]"] {
            let told = refused(|options| options.hello = hello.into());
            assert!(told.starts_with("`hello` is not a host name"), "{hello:?}: {told}");
        }
        let told = refused(|options| {
            options.host = "mail server".into();
            options.security = Security::Tls;
        });
        assert_eq!(told, "`host` is not a host name or an address: `mail server`");
        for hello in ["[127.0.0.1]", "[IPv6:::1]", "kakehi"] {
            assert!(client_id(hello).is_ok(), "{hello}");
        }
    }

    #[test]
    fn authorities_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let with_ca = |options: &mut SmtpOptions| {
            options.security = Security::Tls;
            options.ca = Some(path.clone());
        };
        assert!(refused(with_ca).starts_with("cannot read `ca`"));
        for useless in
            ["", "no PEM at all", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            fs::write(&path, useless).unwrap();
            assert!(refused(with_ca).contains("holds no certificate"), "{useless}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_worth_another_try() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut options = options();
        options.port = free.local_addr().unwrap().port();
        drop(free);
        let mailer = SmtpMailer::new(options).unwrap();
        let message = Message {
            id: "1".into(),
            to: Contact { address: "taro@example.test".into(), display_name: String::new() },
            subject: "s".into(),
            body: "b".into(),
            date: kakehi_engine::time::Timestamp(0),
        };
        let error = mailer.send(&message).await.unwrap_err();
        assert_eq!(error, MailError::Temporary(Fault::Connection));
        assert!(error.is_of_server());
    }
}

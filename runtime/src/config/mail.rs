//! `mail`: what was typed of the mail server flows in, what a mailer is made from flows out.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::check::{Bounds, within};
use super::credential::{CredentialKind, Credentials};
use super::finding::Findings;
use super::raw::password::{MailRaw, SecurityRaw};
use super::yaml::At;

/// Mails of one hour, to everybody together: beyond it something is wrong with us.
pub const PER_HOUR: Bounds<u32> = Bounds { default: 1_000, min: 1, max: 1_000_000 };
pub const PER_USER: Bounds<u32> = Bounds { default: 10, min: 1, max: 1_000 };

const IN_CLEAR: &str = "K0275";
const BAD_ADDRESS: &str = "K0276";
const BAD_ZONE: &str = "K0277";
const HALF_LOGIN: &str = "K0278";

#[derive(Debug)]
pub struct Mail {
    pub host: String,
    pub port: u16,
    pub security: Security,
    pub ca: Option<PathBuf>,
    pub user: Option<String>,
    /// A name in [`Config::credentials`](super::Config).
    pub credential: Option<String>,
    pub from: String,
    pub admins: Vec<String>,
    pub templates: Option<PathBuf>,
    pub contact: Option<String>,
    /// Of the times in the mails, east of Greenwich.
    pub utc_offset_minutes: i32,
    pub per_hour: u32,
    pub per_user_per_day: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    Starttls,
    Tls,
    None,
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

    /// The usual port (RFC 6409, RFC 8314, RFC 5321).
    fn port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

pub(super) fn mail(
    raw: MailRaw,
    folder: &Path,
    credentials: &Credentials<'_>,
    findings: &mut Findings,
) -> Mail {
    let security = match raw.security {
        SecurityRaw::Starttls => Security::Starttls,
        SecurityRaw::Tls => Security::Tls,
        SecurityRaw::None => Security::None,
    };
    let loopback = raw.host.value == "localhost"
        || raw.host.value.parse().is_ok_and(|host: IpAddr| host.is_loopback());
    if security == Security::None && !loopback {
        findings
            .error(IN_CLEAR, "mails with names of users would go out in clear")
            .at(raw.host.mark)
            .what("key `mail.security`")
            .hint("take `starttls` or `tls`");
    }
    if let Some(credential) = &raw.credential {
        credentials.claim(credential, CredentialKind::Smtp, findings);
    }
    if raw.user.is_some() != raw.credential.is_some() {
        findings
            .error(HALF_LOGIN, "`mail.user` and `mail.credential` belong together")
            .at(raw.host.mark)
            .hint("write both, or neither");
    }
    for address in raw.admins.iter().chain([&raw.from]) {
        check_address(address, findings);
    }
    Mail {
        port: raw.port.unwrap_or(security.port()),
        host: raw.host.value,
        security,
        ca: raw.ca.map(|ca| folder.join(ca)),
        user: raw.user,
        credential: raw.credential.map(|credential| credential.value),
        from: raw.from.value,
        admins: raw.admins.into_iter().map(|admin| admin.value).collect(),
        templates: raw.templates.map(|templates| folder.join(templates)),
        contact: raw.contact,
        utc_offset_minutes: raw.utc_offset.map_or(0, |offset| zone(&offset, findings)),
        per_hour: within(findings, "mail.per_hour", raw.per_hour, &PER_HOUR),
        per_user_per_day: within(
            findings,
            "mail.per_user_per_day",
            raw.per_user_per_day,
            &PER_USER,
        ),
    }
}

fn check_address(address: &At<String>, findings: &mut Findings) {
    let parts = address.value.split_once('@');
    let plain = |part: &str| {
        !part.is_empty() && !part.contains(|letter: char| letter.is_whitespace() || letter == '@')
    };
    if !parts.is_some_and(|(local, domain)| plain(local) && plain(domain)) {
        findings
            .error(BAD_ADDRESS, format_args!("`{}` is no mail address", address.value))
            .at(address.mark)
            .hint("write it without a name, such as `noreply@example.jp`");
    }
}

/// Takes `+09:00`. Gives minutes.
fn zone(offset: &At<String>, findings: &mut Findings) -> i32 {
    let minutes = || {
        let (sign, rest) = match offset.value.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let (hours, minutes) = (hours.parse::<u8>().ok()?, minutes.parse::<u8>().ok()?);
        (hours <= 14 && minutes < 60).then(|| sign * (i32::from(hours) * 60 + i32::from(minutes)))
    };
    minutes().unwrap_or_else(|| {
        findings
            .error(BAD_ZONE, format_args!("`mail.utc_offset` is `{}`, no offset", offset.value))
            .at(offset.mark)
            .hint("write it as `+09:00`");
        0
    })
}

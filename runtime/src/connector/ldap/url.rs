//! Addresses of servers: a URL as an administrator wrote it flows in, where to connect flows out.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::fault::Failure;

const PORT: u16 = 389;
const PORT_TLS: u16 = 636;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    /// As it was written, for messages.
    text: String,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Plain, unless STARTTLS is asked for.
    Ldap {
        host: String,
        port: u16,
    },
    Ldaps {
        host: String,
        port: u16,
    },
    /// A Unix socket.
    Ldapi(PathBuf),
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.text)
    }
}

impl ServerUrl {
    /// Reads `ldap://host[:port]`, `ldaps://host[:port]` or `ldapi://percent%2Fencoded%2Fpath`.
    ///
    /// Errors: anything else; a DN, filter or user in the URL would otherwise be ignored silently.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let place = text.split_once("://").and_then(|(scheme, rest)| {
            let rest = rest.strip_suffix('/').unwrap_or(rest);
            match scheme.to_ascii_lowercase().as_str() {
                "ldap" => address(rest, PORT).map(|(host, port)| Place::Ldap { host, port }),
                "ldaps" => address(rest, PORT_TLS).map(|(host, port)| Place::Ldaps { host, port }),
                "ldapi" => {
                    let path = percent_decode_str(rest).decode_utf8().ok()?;
                    path.starts_with('/').then(|| Place::Ldapi(PathBuf::from(&*path)))
                }
                _ => None,
            }
        });
        let place = place.ok_or_else(|| Failure::Config {
            message: format!("`{text}` is no address of a directory server"),
            hint: "write `ldaps://host`, `ldap://host:port` or `ldapi://%2Fpath`".to_owned(),
        })?;
        Ok(Self { text: text.to_owned(), place })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the scheme itself brings no protection.
    pub fn is_plain(&self) -> bool {
        matches!(self.place, Place::Ldap { .. })
    }

    /// Whether the connection cannot leave this machine.
    pub fn is_local(&self) -> bool {
        match &self.place {
            Place::Ldapi(_) => true,
            Place::Ldap { host, .. } | Place::Ldaps { host, .. } => {
                host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            }
        }
    }
}

fn address(text: &str, port: u16) -> Option<(String, u16)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => inner.split_once(']').filter(|(host, _)| host.contains(':'))?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(digits) => digits.parse().ok()?,
        None if rest.is_empty() => port,
        None => return None,
    };
    let plain = !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
    plain.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_each_scheme() {
        let host = |host: &str| host.to_owned();
        for (text, place) in [
            ("ldap://h", Place::Ldap { host: host("h"), port: 389 }),
            ("LDAPS://dc1.example.jp/", Place::Ldaps { host: host("dc1.example.jp"), port: 636 }),
            ("ldap://127.0.0.1:1389", Place::Ldap { host: host("127.0.0.1"), port: 1389 }),
            ("ldaps://[::1]:1636", Place::Ldaps { host: host("::1"), port: 1636 }),
            ("ldapi://%2Frun%2Fldapi", Place::Ldapi("/run/ldapi".into())),
        ] {
            assert_eq!(ServerUrl::parse(text).unwrap().place, place, "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "h",
            "http://h",
            "ldap://",
            "ldap://h:",
            "ldap://h:99999",
            "ldap://h/dc=x",
            "ldap://u@h",
            "ldap://[::1",
            "ldap://[h]",
            "ldap://::1",
            "ldapi://run",
            "ldap://h?x",
            "ldap://h:1:2",
        ] {
            assert!(ServerUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn l20_only_loopback_is_local() {
        for (text, local) in [
            ("ldap://127.0.0.53", true),
            ("ldap://[::1]", true),
            ("ldap://localhost:1389", true),
            ("ldapi://%2Fx", true),
            ("ldap://10.0.0.1", false),
            ("ldap://localhost.example.jp", false),
        ] {
            assert_eq!(ServerUrl::parse(text).unwrap().is_local(), local, "{text}");
        }
    }
}

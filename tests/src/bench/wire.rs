//! Just enough LDAP to ask and to count. In: a request in plain words. Out: whole messages as
//! bytes, split by their BER lengths and not decoded further. Source: RFC 4511, RFC 2696.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;

/// Application tags of the answers that matter here (RFC 4511 section 4).
pub const BIND_RESPONSE: u8 = 0x61;
pub const SEARCH_ENTRY: u8 = 0x64;
pub const SEARCH_DONE: u8 = 0x65;

/// Longest answer that is taken: far more than an entry of a benchmark has.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Longest length of a length: more would not fit the limit above.
const LENGTH_BYTES_MAX: usize = 4;

const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";

/// A connection over plain TCP.
pub struct Connection {
    stream: BufReader<TcpStream>,
    next_id: u32,
}

/// One answer: what it is, and its bytes within the message.
pub struct Answer<'a> {
    pub tag: u8,
    /// The protocol operation's content and the controls behind it.
    pub rest: &'a [u8],
}

/// A search in plain words.
pub struct Search<'a> {
    pub base: &'a str,
    pub scope: Scope,
    /// `attribute = value`; `None`: whatever has an object class.
    pub equal: Option<(&'a str, &'a str)>,
    pub attributes: &'a [&'a str],
    /// Entries per page, and where the last page ended (empty at first); `None`: no paging.
    pub page: Option<(u32, &'a [u8])>,
}

#[derive(Clone, Copy)]
pub enum Scope {
    Base = 0,
    Subtree = 2,
}

impl Connection {
    /// Takes `host:port`.
    pub fn open(address: &str) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream: BufReader::with_capacity(256 * 1024, stream), next_id: 1 })
    }

    /// Binds with a name and a password. Errors: the connection broke or the server refused.
    pub fn bind(&mut self, name: &str, password: &str) -> io::Result<()> {
        let version = [0x02, 0x01, 0x03];
        let parts = [&version[..], &tlv(0x04, name.as_bytes()), &tlv(0x80, password.as_bytes())];
        self.send(0x60, &parts.concat(), &[])?;
        let mut message = Vec::new();
        let answer = self.receive(&mut message)?;
        // A result begins with its code, an enumerated value: 0 is success.
        if answer.tag == BIND_RESPONSE && answer.rest.starts_with(&[0x0a, 0x01, 0x00]) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "the bind was refused"))
    }

    pub fn search(&mut self, search: &Search<'_>) -> io::Result<()> {
        let filter = match search.equal {
            Some((attribute, value)) => {
                let parts = [tlv(0x04, attribute.as_bytes()), tlv(0x04, value.as_bytes())];
                tlv(0xa3, &parts.concat())
            }
            None => tlv(0x87, b"objectClass"),
        };
        let attributes: Vec<u8> =
            search.attributes.iter().flat_map(|name| tlv(0x04, name.as_bytes())).collect();
        let request = [
            tlv(0x04, search.base.as_bytes()),
            tlv(0x0a, &[search.scope as u8]),
            tlv(0x0a, &[0]),    // aliases are not followed
            tlv(0x02, &[0]),    // no limit of entries
            tlv(0x02, &[0]),    // no limit of time
            tlv(0x01, &[0x00]), // types and values
            filter,
            tlv(0x30, &attributes),
        ];
        self.send(0x63, &request.concat(), &search.page.map(paging).unwrap_or_default())
    }

    /// Reads the next message into `message`. Errors: among others, a message that is too long.
    pub fn receive<'a>(&mut self, message: &'a mut Vec<u8>) -> io::Result<Answer<'a>> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head)?;
        let mut long = [0; LENGTH_BYTES_MAX];
        let long_bytes = if head[1] & 0x80 == 0 { 0 } else { usize::from(head[1] & 0x7f) };
        let field = long.get_mut(..long_bytes).ok_or_else(|| broken("a length of lengths"))?;
        self.stream.read_exact(field)?;
        let bytes = length(head[1], field);
        if head[0] != 0x30 || bytes > MESSAGE_BYTES_MAX {
            return Err(broken("no message, or one that is too long"));
        }
        message.resize(bytes, 0);
        self.stream.read_exact(message)?;
        operation(message).ok_or_else(|| broken("a message without an operation"))
    }

    fn send(&mut self, tag: u8, request: &[u8], controls: &[u8]) -> io::Result<()> {
        let id = tlv(0x02, &self.next_id.to_be_bytes());
        self.next_id += 1;
        let message = tlv(0x30, &[&id[..], &tlv(tag, request), controls].concat());
        self.stream.get_mut().write_all(&message)
    }
}

/// The cookie of the next page, from what follows the result of a search; empty on the last page.
pub fn next_page(rest: &[u8]) -> Vec<u8> {
    let oid = PAGED_RESULTS.as_bytes();
    let Some(at) = rest.windows(oid.len()).position(|window| window == oid) else {
        return Vec::new();
    };
    // The control's value: an octet string around a sequence of a size and the cookie.
    let cookie = split(&rest[at + oid.len()..])
        .and_then(|(_, value, _)| split(value))
        .and_then(|(_, pair, _)| split(pair))
        .and_then(|(_, _, behind_size)| split(behind_size));
    cookie.map(|(_, cookie, _)| cookie.to_vec()).unwrap_or_default()
}

fn paging((size, cookie): (u32, &[u8])) -> Vec<u8> {
    let pair = [tlv(0x02, &size.to_be_bytes()), tlv(0x04, cookie)].concat();
    let value = tlv(0x30, &pair);
    let control = [tlv(0x04, PAGED_RESULTS.as_bytes()), tlv(0x04, &value)].concat();
    tlv(0xa0, &tlv(0x30, &control))
}

/// The operation of a message, after its number.
fn operation(message: &[u8]) -> Option<Answer<'_>> {
    let (_, _, behind_id) = split(message)?;
    let (tag, start, _) = header(behind_id)?;
    Some(Answer { tag, rest: &behind_id[start..] })
}

/// Splits the first element off: tag, content, what follows.
fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, start, content_bytes) = header(bytes)?;
    let content = &bytes[start..];
    Some((tag, content.get(..content_bytes)?, content.get(content_bytes..)?))
}

/// Tag, place where the content starts (within the bytes) and its length (perhaps beyond them).
fn header(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let [tag, first, behind @ ..] = bytes else { return None };
    let long_bytes = if first & 0x80 == 0 { 0 } else { usize::from(first & 0x7f) };
    let long = behind.get(..long_bytes)?;
    (long_bytes <= LENGTH_BYTES_MAX).then(|| (*tag, 2 + long_bytes, length(*first, long)))
}

/// A BER length from its first byte and the bytes that byte announces.
fn length(first: u8, long: &[u8]) -> usize {
    if first & 0x80 == 0 {
        return usize::from(first);
    }
    long.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

/// One element with a length of four bytes: longer than needed, and allowed by RFC 4511.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let bytes = u32::try_from(content.len()).expect("requests of a benchmark are short");
    [&[tag, 0x84][..], &bytes.to_be_bytes(), content].concat()
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_behind_a_result() {
        let control = paging((1000, b"abc"));
        let result = [&[0x0a, 0x01, 0x00, 0x04, 0x00, 0x04, 0x00][..], &control].concat();
        assert_eq!(next_page(&result), b"abc");
        assert!(next_page(&result[..7]).is_empty());
    }

    #[test]
    fn elements_are_split_by_short_and_by_long_lengths() {
        assert_eq!(split(&[4, 1, 9, 7]), Some((4, &[9][..], &[7][..])));
        assert_eq!(split(&[4, 0x81, 1, 9, 7]), Some((4, &[9][..], &[7][..])));
        assert_eq!(split(&[4, 2, 9]), None);
        assert_eq!(split(&[4, 0x85, 0, 0, 0, 0, 1, 9]), None);
    }
}

//! The request of the password modify operation (RFC 3062): base64 of BER flows in, whose password
//! it is and the new one flow out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

pub struct Request {
    /// The DN of the entry. `None`: whoever asks.
    pub user: Option<String>,
    /// `None`: the server is to make one up.
    pub new: Option<Zeroizing<Vec<u8>>>,
}

const SEQUENCE: u8 = 0x30;
const USER: u8 = 0x80;
const NEW: u8 = 0x82;

/// Reads a request. `None`: it is none.
pub fn decode(text: &[u8]) -> Option<Request> {
    let text = text.trim_ascii();
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let length = STANDARD.decode_slice(text, &mut bytes).ok()?;
    let (tag, mut content, after) = element(&bytes[..length])?;
    if tag != SEQUENCE || !after.is_empty() {
        return None;
    }
    let mut request = Request { user: None, new: None };
    while !content.is_empty() {
        let (tag, value, rest) = element(content)?;
        match tag {
            USER => request.user = Some(user(value)?),
            NEW => request.new = Some(Zeroizing::new(value.to_vec())),
            // The old one is not ours to see.
            _ => {}
        }
        content = rest;
    }
    Some(request)
}

/// Some clients write an authorization identity (RFC 4513 5.2.1.8) where slapd wants a DN.
fn user(value: &[u8]) -> Option<String> {
    let text = str::from_utf8(value).ok()?;
    Some(text.strip_prefix("dn:").unwrap_or(text).to_owned())
}

/// The first element: its tag, what is in it, what is behind it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // More than four bytes of length would be more than slapd takes.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (length.iter().fold(0, |sum, &byte| (sum << 8) | usize::from(byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

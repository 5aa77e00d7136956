//! The ways in which a text may be written: a marker flows in, the byte strings flow out that give
//! it away.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// What every password of these tests begins with. Nothing else is written like it.
pub const MARKER: &str = "qv9Zx4Wk2Jt8Lp5R";

/// A password with everything in it that is to be escaped somewhere.
pub fn password(number: u32) -> String {
    format!("{MARKER}{number}\"\\<&>%'é鍵🔑")
}

/// A form and its bytes.
pub struct Needle {
    pub form: &'static str,
    pub bytes: Vec<u8>,
}

/// The marker as it may have been written down.
pub fn needles() -> Vec<Needle> {
    let mut needles = vec![];
    let mut add = |form, bytes: Vec<u8>| needles.push(Needle { form, bytes });
    let utf16 = utf16(MARKER);
    add("raw", MARKER.into());
    add("upper case", MARKER.to_uppercase().into());
    add("lower case", MARKER.to_lowercase().into());
    add("backwards", MARKER.chars().rev().collect::<String>().into());
    add("UTF-16LE", utf16.clone());
    add("UTF-16BE", utf16.chunks(2).flat_map(|unit| [unit[1], unit[0]]).collect());
    for shift in 0..3 {
        add("base64", shifted(MARKER.as_bytes(), shift));
        add("base64 of UTF-16LE", shifted(&utf16, shift));
    }
    for each in [|byte: u8| format!("%{byte:02X}"), |byte: u8| format!("%{byte:02x}")] {
        add("percent", every(each));
    }
    for each in [|byte: u8| format!("{byte:02X}"), |byte: u8| format!("{byte:02x}")] {
        add("hex", every(each));
    }
    for each in [|byte: u8| format!("\\u{byte:04X}"), |byte: u8| format!("\\u{byte:04x}")] {
        add("JSON", every(each));
    }
    add("HTML", every(|byte| format!("&#{byte};")));
    add("HTML", every(|byte| format!("&#x{byte:x};")));
    add("debug of bytes", every(|byte| format!("{byte}, ")));
    needles
}

/// What a server may make of a password that it tells back, in six encodings.
pub fn echoes(password: &str) -> String {
    let each = |form: fn(u32) -> String| password.chars().map(|c| form(c as u32)).collect();
    let json: String = password.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let percent: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let html: String = each(|code| format!("&#{code};"));
    let base64 = STANDARD.encode(password);
    let wide = STANDARD.encode(utf16(password));
    format!("raw {password} json {json} url {percent} b64 {base64} wide {wide} html {html} end")
}

fn every(form: impl Fn(u8) -> String) -> Vec<u8> {
    MARKER.bytes().map(form).collect::<String>().into()
}

pub fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The characters of base64 that depend on these bytes alone, when `shift` bytes stand before them.
fn shifted(bytes: &[u8], shift: usize) -> Vec<u8> {
    let mut all = vec![0; shift];
    all.extend_from_slice(bytes);
    let text = STANDARD.encode(&all);
    assert_eq!(text, URL_SAFE.encode(&all), "the marker needs both alphabets");
    let from = (shift * 8).div_ceil(6);
    let to = all.len() * 8 / 6;
    text.as_bytes()[from..to].to_vec()
}

/// Where the marker is found: the form, and what stands around it.
pub fn search(bytes: &[u8], needles: &[Needle]) -> Vec<String> {
    let mut found = vec![];
    for Needle { form, bytes: needle } in needles {
        for at in places(bytes, needle) {
            let around = &bytes[at.saturating_sub(60)..bytes.len().min(at + needle.len() + 60)];
            found.push(format!("{form} at {at}: {}", around.escape_ascii()));
        }
    }
    found
}

/// Where a byte string begins.
pub fn places(bytes: &[u8], needle: &[u8]) -> Vec<usize> {
    let first = needle[0];
    let mut places = vec![];
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        let at = from + at;
        if bytes[at..].starts_with(needle) {
            places.push(at);
        }
        from = at + 1;
    }
    places
}

#[test]
fn the_search_finds_every_form_that_a_server_may_write() {
    let needles = needles();
    let echoed = echoes(&password(1));
    let forms: Vec<&str> = needles
        .iter()
        .filter(|needle| !places(echoed.as_bytes(), &needle.bytes).is_empty())
        .map(|needle| needle.form)
        .collect();
    let expected = ["raw", "base64", "base64 of UTF-16LE", "percent", "JSON", "HTML"];
    assert_eq!(forms, expected);
    for shift in 0..3 {
        let text = STANDARD.encode(format!("{}{}", &"ab"[..shift.min(2)], password(1)));
        assert_eq!(search(text.as_bytes(), &needles).len(), 1, "{text}");
    }
    let bytes = [b"\0\0x".to_vec(), utf16(&password(2))].concat();
    assert_eq!(search(&bytes, &needles).len(), 1);
    assert!(search(b"qv9Zx4Wk2Jt8Lp5 and nothing else", &needles).is_empty());
}

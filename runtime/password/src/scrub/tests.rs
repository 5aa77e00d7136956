//! Passwords in every form that a server may give them back in.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;

fn password(text: &str) -> Password {
    Password::new(Zeroizing::new(text.to_owned()))
}

fn utf16(text: &str, big: bool) -> Vec<u8> {
    let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
    text.encode_utf16().flat_map(bytes).collect()
}

fn each_byte(text: &str, write: impl Fn(u8) -> String) -> String {
    text.bytes().map(write).collect()
}

fn each_unit(text: &str, write: impl Fn(u16) -> String) -> String {
    text.encode_utf16().map(write).collect()
}

fn each_char(text: &str, write: impl Fn(char) -> String) -> String {
    text.chars().map(write).collect()
}

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).expect("a text is JSON");
    quoted[1..quoted.len() - 1].to_owned()
}

fn minimal_percent(text: &str, upper: bool) -> String {
    each_byte(text, |byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ if upper => format!("%{byte:02X}"),
        _ => format!("%{byte:02x}"),
    })
}

fn xml(text: &str) -> String {
    each_char(text, |it| match it {
        '&' => "&amp;".into(),
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '"' => "&quot;".into(),
        '\'' => "&#39;".into(),
        'é' => "&eacute;".into(),
        'ü' => "&uuml;".into(),
        other => other.to_string(),
    })
}

/// Forms in which every character of the result belongs to the password.
fn forms(text: &str) -> Vec<(&'static str, String)> {
    let json = json(text);
    let (low, high) = (utf16(text, false), utf16(text, true));
    let quoted = utf16(&format!("\"{text}\""), false);
    vec![
        ("raw", text.to_owned()),
        ("lower case", text.to_lowercase()),
        ("backwards", text.chars().rev().collect()),
        ("json", json.clone()),
        ("json with slashes", json.replace('/', "\\/")),
        ("json in json", self::json(&json)),
        ("json, all units", each_unit(text, |it| format!("\\u{it:04x}"))),
        ("json, all units, upper", each_unit(text, |it| format!("\\u{it:04X}"))),
        ("percent, all", each_byte(text, |it| format!("%{it:02X}"))),
        ("percent, all, lower", each_byte(text, |it| format!("%{it:02x}"))),
        ("percent", minimal_percent(text, true)),
        ("percent, lower", minimal_percent(text, false)),
        ("percent twice", minimal_percent(&minimal_percent(text, true), true)),
        ("form", minimal_percent(text, true).replace("%20", "+")),
        ("base64", STANDARD.encode(text)),
        ("base64, no padding", STANDARD_NO_PAD.encode(text)),
        ("base64url", URL_SAFE.encode(text)),
        ("base64url, no padding", URL_SAFE_NO_PAD.encode(text)),
        ("base64 in a form", minimal_percent(&STANDARD.encode(text), true)),
        ("base64 in json", STANDARD.encode(text).replace('/', "\\/")),
        ("base64 of json", STANDARD.encode(&json)),
        ("utf-16le base64", STANDARD.encode(&low)),
        ("utf-16be base64", STANDARD.encode(&high)),
        ("unicodePwd", STANDARD.encode(&quoted)),
        ("hex", each_byte(text, |it| format!("{it:02x}"))),
        ("hex, upper", each_byte(text, |it| format!("{it:02X}"))),
        ("utf-16le hex", low.iter().map(|it| format!("{it:02x}")).collect()),
        ("bytes", each_byte(text, |it| format!("\\x{it:02x}"))),
        ("ldap", each_byte(text, |it| format!("\\{it:02X}"))),
        ("octal", each_byte(text, |it| format!("\\{it:03o}"))),
        ("xml", xml(text)),
        ("xml, decimal", each_char(text, |it| format!("&#{};", u32::from(it)))),
        ("xml, hex", each_char(text, |it| format!("&#x{:x};", u32::from(it)))),
        ("xml in json", self::json(&xml(text))),
    ]
}

#[test]
fn o16_an_echoed_password_is_taken_out_in_every_form() {
    for text in [
        "Pa55",
        "correct horse battery staple",
        r#"a"b\c/d'e&f<g>h i"#,
        "[x-z]+(a|b)*$^.?",
        "パスワード秘密",
        "🔑🔒pässwörd é",
        "C:\\new\\table",
        "100%25+1=%41",
        "=?&;:@,#",
        "aaaaaaaaaaaa",
        "QWxhZGRpbg==",
    ] {
        for (form, echoed) in forms(text) {
            // A case that is folded away may have one more character, as `ß` has.
            let told = format!("the value <{echoed}> is not good, try it again");
            let scrubbed = scrub(&told, &password(text), 500);
            assert!(!scrubbed.contains(&echoed), "{text} as {form}: {scrubbed}");
            assert!(!scrubbed.contains(text), "{text} as {form}: {scrubbed}");
            assert!(scrubbed.starts_with("the value <"), "{text} as {form}: {scrubbed}");
            assert!(
                scrubbed.ends_with("> is not good, try it again"),
                "{text} as {form}: {scrubbed}"
            );
            assert!(scrubbed.contains("[password]"), "{text} as {form}: {scrubbed}");
        }
    }
}

#[test]
fn m8_a_password_within_longer_base64_is_found_at_any_place() {
    let text = "Sesam öffne dich";
    for before in ["", "u", "us", "use", "user:", "山田:"] {
        for after in ["", "x", "xy", "\"}"] {
            for encoded in [
                STANDARD.encode(format!("{before}{text}{after}")),
                URL_SAFE_NO_PAD.encode(format!("{before}{text}{after}")),
            ] {
                for glue in ["Basic ", "x", "xy/", "a-b", ""] {
                    let told = format!("header {glue}{encoded}");
                    let scrubbed = scrub(&told, &password(text), 500);
                    let core = &encoded[encoded.len() / 2 - 4..encoded.len() / 2 + 4];
                    assert!(!scrubbed.contains(core), "{told}: {scrubbed}");
                    assert!(scrubbed.starts_with("header "), "{scrubbed}");
                }
            }
        }
    }
}

#[test]
fn a_password_in_broken_lines_of_base64_is_found() {
    let text = "a phrase that is long enough for several lines of base64 in a mail";
    let encoded = STANDARD.encode(text);
    let broken: Vec<&str> =
        encoded.as_bytes().chunks(40).map(|it| str::from_utf8(it).unwrap()).collect();
    let scrubbed = scrub(&broken.join("\r\n"), &password(text), 500);
    assert_eq!(scrubbed, "[password]\r\n[password]\r\n[password]");
}

#[test]
fn a_password_that_the_server_cut_is_taken_out() {
    let text = "Zwölf-Boxkämpfer-jagen-Viktor";
    for echoed in ["Zwölf-Bo", "zwölf-boxkämpfer", "jagen-Viktor", "-Boxkämpfer-"] {
        let scrubbed = scrub(&format!("`{echoed}...` is wrong"), &password(text), 500);
        assert_eq!(scrubbed, "`[password]...` is wrong");
    }
    assert_eq!(scrub("Boxer jagen", &password(text), 500), "Boxer jagen");
}

#[test]
fn a_short_password_leaves_nothing_of_the_text() {
    for text in ["", "a", "is", "äöü"] {
        assert_eq!(scrub("this is wrong", &password(text), 500), "[password]");
    }
}

#[test]
fn a_password_like_its_replacement_is_not_told_by_it() {
    for text in ["password", "[password]", "sswo", "drowssap", "withheld", "password [withheld]"] {
        let scrubbed = scrub(&format!("bad: {text}."), &password(text), 500);
        let told = scrubbed.to_lowercase();
        assert!(!told.contains(text), "{scrubbed}");
        assert!(scrubbed.starts_with("bad: ") && scrubbed.ends_with('.'), "{scrubbed}");
    }
}

#[test]
fn what_remains_does_not_form_the_password_anew() {
    let text = "ab[password]cd";
    let scrubbed = scrub(&format!("ab{text}cd"), &password(text), 500);
    assert!(!scrubbed.contains(text), "{scrubbed}");
    let nested = scrub("secsecretret", &password("secret"), 500);
    assert!(!nested.contains("secret"), "{nested}");
}

#[test]
fn the_result_is_short_and_ends_between_characters() {
    let text = "秘密の言葉";
    assert_eq!(scrub(&format!("理由: {text}"), &password(text), 6), "理由: [p");
    assert_eq!(scrub("", &password(text), 500), "");
    assert_eq!(scrub("なにもない", &password(text), 3), "なにも");
    // The cut of a very long text goes through the password.
    for before in TEXT_CHARS_MAX - 20..TEXT_CHARS_MAX {
        let told = format!("{}{text}", ".".repeat(before));
        let scrubbed = scrub(&told, &password(text), usize::MAX);
        assert!(!scrubbed.contains('秘'), "{before}");
    }
}

#[test]
fn a_text_made_of_escapes_ends_soon() {
    let text = "correct horse";
    let nasty = r"%5c%2525+&amp;\u005c\\x\134\x5cn&#37;".repeat(200);
    let scrubbed = scrub(&format!("{nasty}{text}"), &password(text), usize::MAX);
    assert!(!scrubbed.contains(text));
    let long = "ab".repeat(2048);
    assert!(!scrub(&"ab".repeat(4096), &password(&long), 9000).contains("abab"));
}

fn any_password() -> impl Strategy<Value = String> {
    prop_oneof![".{4,30}", "[ -~]{4,40}", "[a-zA-Z0-9+/=%&\\\\]{4,20}", "[あ-ん亜-腕😀-😏]{4,12}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn m8_no_form_of_any_password_is_left(
        text in any_password(),
        before in "[ -~é]{0,20}",
        after in "[ -~é]{0,20}",
    ) {
        for (form, echoed) in forms(&text) {
            let scrubbed = scrub(&format!("{before}{echoed}{after}"), &password(&text), 2000);
            prop_assert!(!scrubbed.contains(&echoed), "{}: {} in {}", form, echoed, scrubbed);
            prop_assert!(!scrubbed.contains(&text), "{}", form);
        }
    }

    #[test]
    fn any_text_is_taken(text in any::<String>(), secret in any::<String>(), max in 0_usize..50) {
        let scrubbed = scrub(&text, &password(&secret), max);
        prop_assert!(scrubbed.chars().count() <= max);
    }
}

//! Distinguished names: their normalised form, which is only for comparing (RFC 4514, L-13).

/// The form in which two spellings of one DN are equal: types in lower case, values case-folded
/// with spaces squeezed, escapes resolved, the parts of a multi-valued RDN sorted.
///
/// Text that is no DN is folded as a whole: a broken reference still equals itself and nothing
/// else.
pub fn dn_key(dn: &str) -> String {
    let Some(rdns) = parse(dn) else {
        return dn.to_lowercase();
    };
    let mut key = String::with_capacity(dn.len());
    for (index, mut parts) in rdns.into_iter().enumerate() {
        if index > 0 {
            key.push(',');
        }
        parts.sort_unstable();
        for (index, (kind, value)) in parts.iter().enumerate() {
            if index > 0 {
                key.push('+');
            }
            key.push_str(kind);
            key.push('=');
            escape_into(value, &mut key);
        }
    }
    key
}

/// The leftmost RDN, as written.
pub fn first_component(dn: &str) -> &str {
    let mut escaped = false;
    for (index, byte) in dn.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b',' => return &dn[..index],
            _ => {}
        }
    }
    dn
}

type Rdn = Vec<(String, String)>;

/// RDNs from left to right, each a list of (folded type, folded value); `None` if it is no DN.
fn parse(dn: &str) -> Option<Vec<Rdn>> {
    let mut rdns = vec![];
    if dn.trim().is_empty() {
        return Some(rdns);
    }
    let mut rdn = vec![];
    let mut rest = dn;
    loop {
        let (kind, after) = rest.split_once('=')?;
        let kind = kind.trim().to_ascii_lowercase();
        if kind.is_empty()
            || !kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.;".contains(&b))
        {
            return None;
        }
        let (value, end) = value(after)?;
        rdn.push((kind, fold(&value)));
        match after[end..].chars().next() {
            None => {
                rdns.push(rdn);
                return Some(rdns);
            }
            Some('+') => {}
            Some(_) => rdns.push(std::mem::take(&mut rdn)),
        }
        rest = &after[end + 1..];
    }
}

/// The unescaped value at the start of `text`, and where its separator (or the end) stands.
fn value(text: &str) -> Option<(String, usize)> {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    // Unescaped blanks at either end do not count; escaped ones do.
    let mut kept = 0;
    while at < bytes.len() && bytes[at] == b' ' {
        at += 1;
    }
    while at < bytes.len() {
        match bytes[at] {
            b',' | b'+' | b';' => break,
            b'\\' => {
                let next = *bytes.get(at + 1)?;
                match (hex(next), bytes.get(at + 2).and_then(|b| hex(*b))) {
                    (Some(high), Some(low)) => {
                        out.push(high << 4 | low);
                        at += 3;
                    }
                    _ => {
                        out.push(next);
                        at += 2;
                    }
                }
                kept = out.len();
            }
            byte => {
                out.push(byte);
                at += 1;
                if byte != b' ' {
                    kept = out.len();
                }
            }
        }
    }
    out.truncate(kept);
    // Bytes that are no text cannot be folded; they stay apart from every text by their escapes.
    let text = String::from_utf8(out).unwrap_or_else(|error| {
        error.into_bytes().iter().map(|byte| format!("\\{byte:02x}")).collect()
    });
    Some((text, at))
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

fn fold(value: &str) -> String {
    let lower = value.to_lowercase();
    if !lower.contains("  ") {
        return lower;
    }
    lower.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn escape_into(value: &str, out: &mut String) {
    for character in value.chars() {
        if matches!(character, ',' | '+' | ';' | '\\' | '=' | '"' | '<' | '>' | '#') {
            out.push('\\');
        }
        out.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_dn_have_one_key() {
        for (a, b) in [
            ("CN=Taro Yamada,OU=Sales,DC=corp", "cn=taro  yamada, ou=SALES ,dc=Corp"),
            (r"CN=Yamada\, Taro,DC=x", r"cn=yamada\2c taro,dc=X"),
            ("cn=a+uid=b,dc=x", "UID=B + CN=A,dc=x"),
            (r"cn=\e5\b1\b1,dc=x", "cn=山,dc=x"),
        ] {
            assert_eq!(dn_key(a), dn_key(b), "{a} and {b}");
        }
    }

    #[test]
    fn different_names_have_different_keys() {
        for (a, b) in [
            (r"cn=a\,ou=b,dc=x", "cn=a,ou=b,dc=x"),
            (r"cn=a\ ,dc=x", "cn=a,dc=x"),
            ("no dn at all", "no dn"),
            (r"cn=\ff,dc=x", r"cn=\fe,dc=x"),
        ] {
            assert_ne!(dn_key(a), dn_key(b), "{a} and {b}");
        }
    }

    #[test]
    fn the_first_component_keeps_its_escapes() {
        assert_eq!(first_component(r"CN=a\,b,OU=c"), r"CN=a\,b");
        assert_eq!(first_component("CN=a"), "CN=a");
    }
}

//! Guest text made fit for people: it is untrusted, so it is cut and its control characters are
//! escaped.

/// Longest `skip` or `fail` text in bytes: shown to people, stored with every object.
pub(crate) const GUEST_TEXT_BYTES_MAX: usize = 1024;

/// What stands where text was cut.
const CUT: &str = "…";

/// The text with control characters escaped, in at most `bytes_max` bytes; a cut is marked.
pub(crate) fn clean(text: &str, bytes_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(bytes_max));
    let mut cut_at = 0;
    for character in text.chars() {
        let before = out.len();
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
        if out.len() > bytes_max {
            out.truncate(cut_at);
            out.push_str(CUT);
            break;
        }
        if before + CUT.len() <= bytes_max {
            cut_at = before;
        }
    }
    out
}

/// A parser's or compiler's message as one line: it may quote the module, so it is cleaned too.
pub(crate) fn one_line(text: &str) -> String {
    let line = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    clean(&line.join(" "), GUEST_TEXT_BYTES_MAX)
}

/// A size as people write it: `64 MiB`, `512 KiB`, `300 bytes`.
pub(crate) fn size(bytes: usize) -> String {
    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;
    match bytes {
        _ if bytes >= MIB && bytes.is_multiple_of(MIB) => format!("{} MiB", bytes / MIB),
        _ if bytes >= 10 * MIB => format!("{} MiB", bytes.div_ceil(MIB)),
        _ if bytes >= KIB && bytes.is_multiple_of(KIB) => format!("{} KiB", bytes / KIB),
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_text_is_cut_and_escaped() {
        for (text, bytes_max, expected) in [
            ("computer account", 16, "computer account"),
            ("computer account", 15, "computer acc…"),
            ("山田太郎", 12, "山田太郎"),
            ("山田太郎", 11, "山田…"),
            ("a\u{1b}[31mred\n", 64, "a\\u{1b}[31mred\\n"),
            ("abc\u{0}\u{0}", 8, "abc…"),
            ("", 8, ""),
        ] {
            let cleaned = clean(text, bytes_max);
            assert_eq!(cleaned, expected, "{text:?}");
            assert!(cleaned.len() <= bytes_max);
        }
    }
}

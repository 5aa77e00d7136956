//! Texts as YAML scalars that read back byte for byte.

/// A scalar for one line: bare where that is safe, else between quotes.
pub fn scalar(text: &str) -> String {
    if is_bare(text) { text.to_owned() } else { quoted(text) }
}

/// A scalar between quotes, whatever it is.
pub fn quoted(text: &str) -> String {
    if text.chars().all(is_plain) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut escaped = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            letter if is_plain(letter) => escaped.push(letter),
            letter => escaped.push_str(&format!("\\U{:08x}", u32::from(letter))),
        }
    }
    escaped.push('"');
    escaped
}

/// A text of one line or many as the value of a key that stands `indent` spaces deep.
pub fn block(text: &str, indent: usize) -> String {
    let lines = || text.split('\n');
    let keeps =
        |line: &str| line.chars().all(is_plain) && (line.is_empty() || !line.trim().is_empty());
    let outer = !text.starts_with([' ', '\n']) && !text.ends_with('\n');
    if !text.contains('\n') || !outer || !lines().all(keeps) {
        return quoted(text);
    }
    let mut block = String::from("|-");
    for line in lines() {
        block.push('\n');
        if !line.is_empty() {
            block.push_str(&" ".repeat(indent + 2));
            block.push_str(line);
        }
    }
    block
}

/// What YAML gives back as it stands between single quotes and in blocks: neither controls nor the
/// line ends of other systems.
fn is_plain(letter: char) -> bool {
    !letter.is_control()
        && !matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn is_bare(text: &str) -> bool {
    let named = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    // Words that some reader of YAML takes for something else than text.
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"];
    text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text.chars().all(named)
        && !words.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_bare_only_where_nobody_can_misread_them() {
        for (text, expected) in [
            ("Domain.FQDN", "Domain.FQDN"),
            ("user", "user"),
            ("*", "'*'"),
            ("True", "'True'"),
            ("no", "'no'"),
            ("2", "'2'"),
            ("", "''"),
            ("it's", "'it''s'"),
            ("a: b # c", "'a: b # c'"),
            ("a\tb\r\n\"\\", "\"a\\tb\\r\\n\\\"\\\\\""),
            ("\u{7}", "\"\\U00000007\""),
            ("筧", "'筧'"),
        ] {
            assert_eq!(scalar(text), expected, "{text:?}");
        }
    }

    #[test]
    fn several_lines_are_a_block_where_it_keeps_them() {
        assert_eq!(block("a", 2), "'a'");
        assert_eq!(block("IIF(\n  x,\n\n y)", 2), "|-\n    IIF(\n      x,\n\n     y)");
        for text in [" a\nb", "a\n", "\na", "a\n  \nb", "a\r\nb", "a\n\tb"] {
            assert!(block(text, 2).starts_with('"'), "{text:?}");
        }
    }
}

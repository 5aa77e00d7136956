//! How a value changes, if it changes as many do: an old and a new value flow in, a short
//! description that is the same for all of a kind flows out.

/// `None`: the values have nothing in common that would make a pattern.
pub fn of(old: &str, new: &str) -> Option<String> {
    if old == new {
        return None;
    }
    if old.to_lowercase() == new.to_lowercase() {
        return Some("only upper and lower case".into());
    }
    if without_space(old) == without_space(new) {
        return Some("only white space".into());
    }
    if let (Some((name, before)), Some((other, after))) =
        (old.rsplit_once('@'), new.rsplit_once('@'))
    {
        if name.eq_ignore_ascii_case(other) {
            return Some(format!("domain @{before} -> @{after}"));
        }
        if before.eq_ignore_ascii_case(after) {
            return Some(format!("another name at @{after}"));
        }
    }
    if let (Some((first, before)), Some((other, after))) =
        (old.split_once(','), new.split_once(','))
        && first.contains('=')
        && first.eq_ignore_ascii_case(other)
    {
        return Some(format!("container {before} -> {after}"));
    }
    let swapped: Vec<&str> = old.split_whitespace().rev().collect();
    if swapped.len() > 1 && swapped == new.split_whitespace().collect::<Vec<_>>() {
        return Some("words in reverse order".into());
    }
    if let Some(added) = new.strip_prefix(old) {
        return Some(format!("ends in {} now", quoted(added)?));
    }
    if let Some(added) = new.strip_suffix(old) {
        return Some(format!("begins with {} now", quoted(added)?));
    }
    if let Some(lost) = old.strip_prefix(new) {
        return Some(format!("does not end in {} any more", quoted(lost)?));
    }
    if let Some(lost) = old.strip_suffix(new) {
        return Some(format!("does not begin with {} any more", quoted(lost)?));
    }
    // The same replacement in many places is a pattern by its number.
    Some(format!("{} -> {}", quoted(old)?, quoted(new)?))
}

/// A longer text is nobody's pattern.
const CHARS_MAX: usize = 60;

fn quoted(text: &str) -> Option<String> {
    (!text.is_empty() && text.chars().count() <= CHARS_MAX).then(|| format!("\"{text}\""))
}

fn without_space(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_a_kind_have_one_description() {
        for (old, new, expected) in [
            ("a@x.example", "a@y.example", "domain @x.example -> @y.example"),
            ("ann@x.example", "anna@x.example", "another name at @x.example"),
            ("TARO", "Taro", "only upper and lower case"),
            ("a  b", "a b", "only white space"),
            ("CN=A,OU=x", "CN=A,OU=y", "container OU=x -> OU=y"),
            ("Taro Yamada", "Yamada Taro", "words in reverse order"),
            ("Sales", "Sales Japan", "ends in \" Japan\" now"),
            ("k-Sales", "Sales", "does not begin with \"k-\" any more"),
            ("Sales", "Marketing", "\"Sales\" -> \"Marketing\""),
        ] {
            assert_eq!(of(old, new).as_deref(), Some(expected));
        }
        assert_eq!(of("a", "a"), None);
        assert_eq!(of("", "b"), None);
    }
}

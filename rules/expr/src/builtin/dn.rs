//! References and distinguished names, as texts: escapes stay as they are written.

use super::Arguments;
use crate::error::Fault;
use crate::value::Val;

pub(super) fn c_ref(arguments: &Arguments<'_>) -> Result<Option<Val>, Fault> {
    Ok(arguments.text(0)?.map(|text| Val::Reference(text.into_owned())))
}

/// The value of the n-th component from the left; NULL if there is none.
pub(super) fn component(arguments: &Arguments<'_>) -> Result<Option<Val>, Fault> {
    let Some(dn) = arguments.text(0)? else { return Ok(None) };
    Ok(nth(components(&dn).into_iter(), arguments.number(1)?))
}

/// From the right; with "DC", `dc=` components are passed over.
pub(super) fn component_rev(arguments: &Arguments<'_>) -> Result<Option<Val>, Fault> {
    let Some(dn) = arguments.text(0)? else { return Ok(None) };
    let passed_over = match arguments.text(2)?.as_deref() {
        None => "",
        Some(option) if option.eq_ignore_ascii_case("DC") => "dc",
        Some(_) => return Err(arguments.out_of_range(2, "`DC`")),
    };
    let kept = components(&dn)
        .into_iter()
        .rev()
        .filter(|(kind, _)| passed_over.is_empty() || !kind.eq_ignore_ascii_case(passed_over));
    Ok(nth(kept, arguments.number(1)?))
}

/// Source: RFC 4514, section 2.4. An attribute type and `=` in front are left as they are.
pub(super) fn escape_component(arguments: &Arguments<'_>) -> Result<Option<Val>, Fault> {
    let Some(text) = arguments.text(0)? else { return Ok(None) };
    let is_type = |kind: &str| {
        kind.starts_with(|c: char| c.is_ascii_alphabetic())
            && kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let (kind, value) = match text.split_once('=') {
        Some((kind, value)) if is_type(kind) => (&text[..=kind.len()], value),
        _ => ("", &*text),
    };
    let last = value.chars().count().saturating_sub(1);
    let mut escaped = kind.to_owned();
    for (index, c) in value.chars().enumerate() {
        match c {
            '\0' => escaped.push_str("\\00"),
            '\n' => escaped.push_str("\\0A"),
            '\r' => escaped.push_str("\\0D"),
            ' ' if index == 0 || index == last => escaped.push_str("\\ "),
            '#' if index == 0 => escaped.push_str("\\#"),
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    Ok(Some(Val::Text(escaped)))
}

fn nth<'d>(
    mut components: impl Iterator<Item = (&'d str, &'d str)>,
    index: Option<i64>,
) -> Option<Val> {
    let index = super::size(index?)?.checked_sub(1)?;
    components.nth(index).map(|(_, value)| value.into())
}

/// Type and value of each component; none of an empty name. A component of several types, joined by
/// `+`, is one component, and its value what follows the first `=`. Commas separate unless a
/// backslash escapes or quotes hold them.
fn components(dn: &str) -> Vec<(&str, &str)> {
    if dn.trim().is_empty() {
        return Vec::new();
    }
    let (mut escaped, mut quoted) = (false, false);
    let parts = dn.split(|c| {
        let separates = c == ',' && !escaped && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        separates
    });
    parts
        .map(|part| {
            let (kind, value) = part.split_once('=').unwrap_or(("", part));
            (kind.trim(), trimmed(value))
        })
        .collect()
}

/// Without the white space around, but for a last space that is escaped.
fn trimmed(value: &str) -> &str {
    let value = value.trim_start();
    let end = value.trim_end();
    let backslashes = end.len() - end.trim_end_matches('\\').len();
    if backslashes % 2 == 1 && end.len() < value.len() { &value[..=end.len()] } else { end }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    const JOE: &str = "CRef(\"cn=Joe,ou=Atlanta,ou=GA,ou=US, dc=contoso,dc=com\")";

    #[test]
    fn components_from_both_sides() {
        check(&format!("DNComponent({JOE},1)"), "", "'Joe'");
        check(&format!("DNComponent({JOE},5)"), "", "'contoso'");
        check(&format!("DNComponent({JOE},7)"), "", "NULL");
        check(&format!("DNComponent({JOE},0)"), "", "NULL");
        check(&format!("DNComponentRev({JOE},3)"), "", "'US'");
        check(&format!("DNComponentRev({JOE},1,\"DC\")"), "", "'US'");
        check(&format!("DNComponentRev({JOE},7)"), "", "NULL");
        check(
            &format!("DNComponentRev({JOE},1,\"OU\")"),
            "",
            "error: argument 3 is `OU`, must be `DC` at 1:1",
        );
        check("DNComponent([x],1)", "", "NULL");
        check("DNComponent([m],1)", "m=&'cn=a,dc=x'|&'cn=b,dc=x'", "'a' | 'b'");
    }

    #[test]
    fn escapes_are_kept_as_written() {
        check("DNComponent([dn],1)", "dn='CN=Joe\\0ACNF:1,DC=a'", "'Joe\\0ACNF:1'");
        check("DNComponent([dn],1)", "dn='CN=Yamada\\, Taro ,DC=a'", "'Yamada\\, Taro'");
        check("DNComponent([dn],1)", "dn='CN=\"a,b\",DC=a'", "'\"a,b\"'");
        check("DNComponent([dn],1) & \"|\"", "dn='CN=a\\ ,DC=a'", "'a\\ |'");
    }

    #[test]
    fn escaping_one_component() {
        check("EscapeDNComponent(\"CN=\" & [x])", "x='Yamada, Taro'", "'CN=Yamada\\, Taro'");
        check("EscapeDNComponent([x])", "x=' a=b#'", "'\\ a\\=b#'");
        check("EscapeDNComponent([x])", "x='#1'", "'\\#1'");
        check("EscapeDNComponent([x])", "", "NULL");
    }
}

//! Attribute paths of SCIM targets, as far as their form goes (RFC 7644 section 3.5.2).

/// Errors: why the text can be no path. Whether a target has the attribute is for its schema to
/// say.
pub(super) fn check(path: &str) -> Result<(), &'static str> {
    let mut depth = 0_u32;
    let mut quoted = false;
    let mut escaped = false;
    let mut outside = String::new();
    for letter in path.chars() {
        match letter {
            _ if quoted => {
                quoted = escaped || letter != '"';
                escaped = !escaped && letter == '\\';
            }
            '"' if depth > 0 => quoted = true,
            '[' => depth += 1,
            ']' if depth == 0 => return Err("a bracket is closed that was not opened"),
            ']' => depth -= 1,
            letter if depth == 0 => outside.push(letter),
            _ => {}
        }
        if depth > 1 {
            return Err("brackets stand inside brackets");
        }
    }
    if quoted || depth > 0 {
        return Err("a bracket or a quotation mark is not closed");
    }
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:$".contains(letter);
    if !outside.chars().all(plain) {
        return Err("a name holds what no name can");
    }
    // Without the prefix of an extension, whose version has a dot of its own.
    let name = outside.rsplit(':').next().unwrap_or_default();
    if name.split('.').any(|part| part.is_empty() || part.starts_with(|c: char| c.is_ascii_digit()))
    {
        return Err("a name is empty or begins with a digit");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_scim_pass_and_broken_ones_do_not() {
        for path in [
            "userName",
            "name.familyName",
            r#"emails[type eq "work"].value"#,
            r#"emails[type eq "a]\"b"].value"#,
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
            "members",
            "$ref",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
        for path in [
            "",
            "user name",
            "name.",
            ".name",
            r#"emails[type eq "work".value"#,
            "emails]",
            "emails[a[b]]",
            "urn:x:",
            "1st",
            "名前",
        ] {
            assert!(check(path).is_err(), "{path}");
        }
    }
}

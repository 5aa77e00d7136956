//! Attribute paths: the name a rule uses flows in, its parts flow out (RFC 7644 section 3.10).

use serde_json::Value as Json;

/// A parsed attribute path: `userName`, `name.familyName`, `emails[type eq "work"].value`,
/// `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`.
#[derive(Clone, Debug, PartialEq)]
pub struct Path<'a> {
    /// The whole path, as written.
    pub text: &'a str,
    /// The schema of an extension; `None` for the core schema.
    pub urn: Option<&'a str>,
    pub attribute: &'a str,
    /// Which element of a multi-valued attribute is meant.
    pub filter: Option<ElementFilter<'a>>,
    pub sub: Option<&'a str>,
}

/// `type eq "work"`: the one form of filter that names one element and can also create it.
#[derive(Clone, Debug, PartialEq)]
pub struct ElementFilter<'a> {
    pub key: &'a str,
    pub literal: Json,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no attribute path of the form `attribute[sub eq \"value\"].sub`")]
pub struct PathError(pub String);

// === impl Path ===

impl<'a> Path<'a> {
    /// Reads a path.
    ///
    /// Errors: [`PathError`] for an empty name, an unclosed filter, or another operator than `eq`.
    pub fn parse(text: &'a str) -> Result<Self, PathError> {
        Self::read(text).ok_or_else(|| PathError(text.to_owned()))
    }

    fn read(text: &'a str) -> Option<Self> {
        let head_end = text.find('[').unwrap_or(text.len());
        let (urn, start) = match text[..head_end].rfind(':') {
            Some(colon) if text.to_ascii_lowercase().starts_with("urn:") => {
                (Some(&text[..colon]), colon + 1)
            }
            Some(_) => return None,
            None => (None, 0),
        };
        let rest = &text[start..];
        let (head, filter, sub) = match rest.split_once('[') {
            None => match rest.split_once('.') {
                Some((head, sub)) => (head, None, Some(sub)),
                None => (rest, None, None),
            },
            Some((head, tail)) => {
                // The literal may hold a bracket, hence the last one closes the filter.
                let (inside, after) = tail.rsplit_once(']')?;
                let sub = match after {
                    "" => None,
                    after => Some(after.strip_prefix('.')?),
                };
                (head, Some(ElementFilter::read(inside)?), sub)
            }
        };
        let names_hold = is_name(head) && sub.is_none_or(is_name);
        names_hold.then_some(Self { text, urn, attribute: head, filter, sub })
    }

    /// The attribute as a whole, without filter and sub-attribute.
    pub fn whole(&self) -> String {
        match self.urn {
            Some(urn) => format!("{urn}:{}", self.attribute),
            None => self.attribute.to_owned(),
        }
    }

    /// The element that the filter selects: the path up to its bracket. `None` without a filter.
    pub fn element(&self) -> Option<&'a str> {
        self.filter.as_ref().and_then(|_| self.text.rfind(']')).map(|end| &self.text[..=end])
    }
}

impl<'a> ElementFilter<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (key, rest) = text.trim().split_once(' ')?;
        let (operator, literal) = rest.trim_start().split_once(' ')?;
        let literal: Json = serde_json::from_str(literal.trim()).ok()?;
        let plain = matches!(literal, Json::String(_) | Json::Bool(_));
        (operator.eq_ignore_ascii_case("eq") && is_name(key) && plain)
            .then_some(Self { key, literal })
    }
}

/// Attribute names: letters, digits, `-`, `_` and `$` (RFC 7643 section 2.1).
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_$".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        let department = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        for (text, urn, attribute, filter, sub) in [
            ("userName", None, "userName", None, None),
            ("name.familyName", None, "name", None, Some("familyName")),
            (
                r#"emails[type eq "work"].value"#,
                None,
                "emails",
                Some(("type", "work")),
                Some("value"),
            ),
            (r#"emails[type eq "a]b:c"]"#, None, "emails", Some(("type", "a]b:c")), None),
            (department, Some(enterprise), "department", None, None),
            ("urn:x:y:manager.value", Some("urn:x:y"), "manager", None, Some("value")),
        ] {
            let filter =
                filter.map(|(key, literal)| ElementFilter { key, literal: literal.into() });
            let path = Path { text, urn, attribute, filter, sub };
            assert_eq!(Path::parse(text), Ok(path), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "name.",
            "a b",
            "emails[",
            r#"emails[type co "w"].value"#,
            r#"emails[type eq "w"]value"#,
            "emails[type eq 1].value",
            "schema:attribute",
        ] {
            assert_eq!(Path::parse(text), Err(PathError(text.to_owned())), "{text}");
        }
    }
}

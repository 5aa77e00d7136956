//! XML texts flow in, trees with lines flow out. A file has no say in how it is read: document
//! types are refused, so there are no entities of its own and nothing outside is ever fetched.

use roxmltree::{Document, Node, ParsingOptions};

use crate::fault::{Fault, RULE, XML};

/// Most nodes of one file: several times the schema of a directory with Exchange.
const NODES_MAX: u32 = 4_000_000;
/// Deepest nesting: four times that of the deepest file of an export.
const DEPTH_MAX: usize = 64;

/// Parses a file. Errors: no well-formed XML, a document type, or larger and deeper than any
/// export.
pub(super) fn parse<'a>(file: &str, text: &'a str) -> Result<Document<'a>, Fault> {
    let fault = |line: u32, message: String, hint: &str| {
        Err(Fault::new(XML, message).at(file, line).hint(hint))
    };
    if let Some(line) = too_deep(text) {
        let message = format!("elements stand deeper than {DEPTH_MAX} levels");
        return fault(line, message, "no export is nested like this: make it anew");
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..Default::default() };
    Document::parse_with_options(text, options).or_else(|error| match error {
        roxmltree::Error::DtdDetected => {
            let message = "the file has a document type (`<!DOCTYPE`), which is never read".into();
            fault(doctype_line(text), message, "take it out; no export has one")
        }
        roxmltree::Error::NodesLimitReached => {
            let message = format!("the file has more than {NODES_MAX} parts");
            fault(0, message, "no export is as large: make it anew")
        }
        error => {
            let line = match error {
                roxmltree::Error::UnclosedRootNode | roxmltree::Error::UnexpectedEndOfStream => {
                    u32::try_from(text.lines().count()).unwrap_or(u32::MAX)
                }
                _ => error.pos().row,
            };
            let message = format!("no well-formed XML: {error}");
            fault(line, message, "the file is damaged or cut short: export it again")
        }
    })
}

/// The line in which elements stand too deep. Counted before the parser, which builds a tree of
/// whatever it is given.
fn too_deep(text: &str) -> Option<u32> {
    let (mut depth, mut line) = (0_usize, 1_u32);
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        line += lines(&rest[..at]);
        rest = &rest[at..];
        let end = match rest.as_bytes() {
            [b'<', b'!', b'-', b'-', ..] => "-->",
            [b'<', b'!', b'[', ..] => "]]>",
            _ => ">",
        };
        let tag = &rest[..rest.find(end).map_or(rest.len(), |at| at + end.len())];
        match tag.as_bytes() {
            [b'<', b'/', ..] => depth = depth.saturating_sub(1),
            [b'<', b'!' | b'?', ..] | [.., b'/', b'>'] => {}
            _ => depth += 1,
        }
        if depth > DEPTH_MAX {
            return Some(line);
        }
        line += lines(tag);
        rest = &rest[tag.len()..];
    }
    None
}

fn doctype_line(text: &str) -> u32 {
    text.find("<!DOCTYPE").map_or(0, |at| lines(&text[..at]) + 1)
}

fn lines(text: &str) -> u32 {
    u32::try_from(text.matches('\n').count()).unwrap_or(u32::MAX)
}

/// The children of a name, without regard to namespaces: exports put prefixes of their own.
pub(super) fn children<'a, 'i>(
    node: Node<'a, 'i>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    elements(node).filter(move |child| child.tag_name().name() == name)
}

pub(super) fn child<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> Option<Node<'a, 'i>> {
    children(node, name).next()
}

pub(super) fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

/// The text of an element, pieces around comments together.
pub(super) fn text(node: Node<'_, '_>) -> String {
    node.children().filter_map(|child| child.text().filter(|_| child.is_text())).collect()
}

/// The text of a child, empty where there is none.
pub(super) fn child_text(node: Node<'_, '_>, name: &'static str) -> String {
    child(node, name).map(text).unwrap_or_default()
}

pub(super) fn line(node: Node<'_, '_>) -> u32 {
    node.document().text_pos_at(node.range().start).row
}

/// Notes what is wrong with a part of a rule.
pub(super) fn fault(file: &str, node: Node<'_, '_>, message: String, hint: &str) -> Fault {
    Fault::new(RULE, message).at(file, line(node)).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> (u32, String) {
        let fault = parse("a.xml", text).err().unwrap();
        assert_eq!(fault.code, XML);
        (fault.line, fault.message)
    }

    #[test]
    fn document_types_are_refused_with_all_that_they_bring() {
        let message = "the file has a document type (`<!DOCTYPE`), which is never read";
        for text in [
            "\n<!DOCTYPE a SYSTEM \"http://x.example/a.dtd\"><a/>",
            "\n<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>",
            "\n<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>",
        ] {
            assert_eq!(told(text), (2, message.to_owned()));
        }
    }

    #[test]
    fn broken_files_name_the_line() {
        assert_eq!(told("<a>\n<b>\n</a>").0, 3);
        assert_eq!(told("<a>\n<b>\n").0, 2);
        assert_eq!(told("").0, 1);
        assert_eq!(told("<a>&x;</a>").0, 1);
        let deep = format!("\n{}", "<a>".repeat(200_000));
        assert_eq!(told(&deep), (2, "elements stand deeper than 64 levels".to_owned()));
        let text = format!("{}{}", "<a>".repeat(64), "</a>".repeat(64));
        assert!(parse("a.xml", &text).is_ok());
    }

    #[test]
    fn comments_and_cdata_are_no_elements() {
        let text = format!("<a>{}<![CDATA[<b><b>]]>x</a>", "<!-- <c> -->".repeat(100));
        let document = parse("a.xml", &text).unwrap();
        assert_eq!(super::text(document.root_element()), "<b><b>x");
    }
}

//! The manifest of generated rules: connectors, groups and files flow in, its text flows out.

use std::fmt::Write as _;

use super::Wish;

const HEAD: &str =
    "# Made by `kakehi rules generate` and yours from here on: what wins is decided by
# `groups` alone, files are read in the order of `include`.
version: 1

connectors:
";

const GROUPS: &str = "
# Blocks of precedence from 100, the strongest first. Inside a block, connectors keep their order,
# so a connector that is added later never outranks an earlier one. Custom rules take a
# `precedence` below 100 and so win over all of these.
groups:
";

/// `groups` and `include` in their order.
pub(super) fn text(wish: &Wish, groups: &[&str], include: &[&str]) -> String {
    let mut text = HEAD.to_owned();
    for (directory, order) in wish.directories.iter().zip(1..) {
        let (name, kind) = (&directory.name, directory.kind.word());
        let parameters = directory.parameters();
        // Writing to a string does not fail.
        let _ = match parameters.is_empty() {
            true => writeln!(text, "  - {{name: {name}, kind: {kind}, order: {order}}}"),
            false => writeln!(text, "  - name: {name}\n    kind: {kind}\n    order: {order}"),
        };
        if !parameters.is_empty() {
            text.push_str("    parameters:\n");
        }
        for (name, value) in parameters {
            let _ = writeln!(text, "      {name}: {value}");
        }
    }
    let last = wish.directories.len() + 1;
    let _ = writeln!(text, "  - {{name: {}, kind: scim, order: {last}}}", wish.target);
    text.push_str(GROUPS);
    for group in groups {
        let _ = writeln!(text, "  - {group}");
    }
    text.push_str("\ninclude:\n");
    for path in include {
        let _ = writeln!(text, "  - {path}");
    }
    text
}

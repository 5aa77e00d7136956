//! A rule as the XML of an export: the neutral form flows in, a file of the original's shape flows
//! out.

use crate::model::{FlowSource, JoinClause, Rule, ScopeClause};

/// Writes elements with their indentation.
struct Writer {
    text: String,
    depth: usize,
}

/// One `synchronizationRule`, as `SynchronizationRule_{id}.xml` holds it.
pub fn xml(rule: &Rule) -> String {
    let mut writer = Writer { text: String::new(), depth: 0 };
    writer.open("synchronizationRule");
    let braced = |id: &str| format!("{{{id}}}");
    let flag = |flag: bool| if flag { "True" } else { "False" };
    writer.leaf("id", &braced(&rule.id));
    writer.leaf("internal-id", &braced(rule.internal_id.as_ref().unwrap_or(&rule.id)));
    writer.leaf("version", rule.version.as_deref().unwrap_or("1"));
    writer.leaf("name", &rule.name);
    writer.leaf("description", &rule.description);
    writer.leaf("immutable-tag", &rule.immutable_tag);
    writer.leaf("direction", rule.direction.as_str());
    writer.leaf("disabled", flag(rule.disabled));
    writer.leaf("connector", &braced(&rule.connector));
    writer.leaf("sourceObjectType", &rule.source_type);
    writer.leaf("targetObjectType", &rule.target_type);
    writer.leaf("linkType", rule.link.as_str());
    writer.leaf("precedence", &rule.precedence.to_string());
    writer.leaf("precedence-after", &braced(&rule.precedence_after));
    writer.leaf("precedence-before", &braced(&rule.precedence_before));
    writer.leaf("softDeleteExpiryInterval", &rule.soft_delete);
    // The original writes this one in lower case.
    writer.leaf("EnablePasswordSync", if rule.password_sync { "true" } else { "false" });
    flows(rule, &mut writer);
    writer.groups("relationshipCriteria", &rule.join, |writer, clause: &JoinClause| {
        writer.open("condition");
        if clause.case_sensitive {
            writer.leaf("caseSensitive", "True");
        }
        writer.leaf("csAttribute", &clause.cs);
        writer.leaf("ilmAttribute", &clause.mv);
        writer.close("condition");
    });
    writer.groups("synchronizationCriteria", &rule.scope, |writer, clause: &ScopeClause| {
        writer.open("scope");
        writer.leaf("csAttribute", &clause.attribute);
        writer.leaf("csOperator", &clause.operator);
        writer.leaf("csValue", &clause.value);
        writer.close("scope");
    });
    writer.close("synchronizationRule");
    writer.text
}

fn flows(rule: &Rule, writer: &mut Writer) {
    if rule.flows.is_empty() {
        writer.leaf("attribute-mappings", "");
        return;
    }
    writer.open("attribute-mappings");
    for flow in &rule.flows {
        match (&flow.once_as, flow.once) {
            (Some(word), _) => writer.begin("mapping", &format!(" execute-once=\"{word}\"")),
            (None, true) => writer.begin("mapping", " execute-once=\"True\""),
            (None, false) => writer.open("mapping"),
        }
        writer.leaf("dest", &flow.to);
        let sources: &[String] = match &flow.source {
            FlowSource::Direct(sources) | FlowSource::Expression { listed: sources, .. } => sources,
            FlowSource::Constant(text) => {
                writer.leaf("src", text);
                &[]
            }
        };
        if !sources.is_empty() {
            writer.open("src");
            for source in sources {
                writer.leaf("attr", source);
            }
            writer.close("src");
        }
        if let FlowSource::Expression { text, .. } = &flow.source {
            writer.leaf("expression", text);
        }
        writer.leaf("valueMergeType", flow.merge.as_str());
        writer.close("mapping");
    }
    writer.close("attribute-mappings");
}

// === impl Writer ===

impl Writer {
    fn line(&mut self, line: &str) {
        self.text.push_str(&"  ".repeat(self.depth));
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn open(&mut self, name: &str) {
        self.begin(name, "");
    }

    fn begin(&mut self, name: &str, attributes: &str) {
        self.line(&format!("<{name}{attributes}>"));
        self.depth += 1;
    }

    fn close(&mut self, name: &str) {
        self.depth -= 1;
        self.line(&format!("</{name}>"));
    }

    fn leaf(&mut self, name: &str, text: &str) {
        match text {
            "" => self.line(&format!("<{name} />")),
            text => self.line(&format!("<{name}>{}</{name}>", escaped(text))),
        }
    }

    /// One `conditions` for each group.
    fn groups<T>(&mut self, name: &str, groups: &[Vec<T>], write: fn(&mut Self, &T)) {
        if groups.is_empty() {
            self.leaf(name, "");
            return;
        }
        self.open(name);
        for group in groups {
            if group.is_empty() {
                self.leaf("conditions", "");
                continue;
            }
            self.open("conditions");
            for item in group {
                write(self, item);
            }
            self.close("conditions");
        }
        self.close(name);
    }
}

/// A carriage return would be read back as a line feed; other controls no XML can hold.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\r' => escaped.push_str("&#xD;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Whether XML can hold a text at all.
pub fn holds(text: &str) -> bool {
    text.chars().all(|letter| {
        matches!(letter, '\t' | '\n' | '\r')
            || (!letter.is_ascii_control() && !matches!(letter, '\u{fffe}' | '\u{ffff}'))
    })
}

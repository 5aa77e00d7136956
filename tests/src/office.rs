//! A small office: people and groups in one LDIF file, one SCIM service in this process. What a
//! test changes is a line of the file.

use std::collections::BTreeMap;
use std::fs::File;
use std::time::{Duration, SystemTime};

use serde_json::Value as Json;

use crate::installation::TOKEN;
use crate::product::{Answer, Product};
use crate::receiver::InProcess;

/// People have a mail address, which is their user name, and may have a title. Who is a robot is a
/// group at the service, and everybody else a user.
const MANIFEST: &str = r#"version: 1
connectors:
  - {name: hr, kind: ldif, order: 1}
  - {name: cloud, kind: scim, order: 2}
rules:
  - name: In Person
    precedence: 100
    connector: hr
    direction: inbound
    from: inetOrgPerson
    to: person
    link: provision
    join: [[{cs: uid, mv: sourceAnchor}]]
    module: builtin:declarative
    config:
      flows:
        - {to: sourceAnchor, from: uid}
        - {to: mail, from: mail}
        - {to: title, from: title}
        - {to: employeeType, from: employeeType}
  - name: In Group
    precedence: 110
    connector: hr
    direction: inbound
    from: groupOfNames
    to: group
    link: provision
    module: builtin:declarative
    config:
      flows:
        - {to: sourceAnchor, from: uid}
        - {to: displayName, from: uid}
        - {to: member, from: member}
  - name: Out User
    precedence: 100
    connector: cloud
    direction: outbound
    from: person
    to: User
    link: provision
    on_delete: disable
    scope: [[{attr: sourceAnchor, op: ISNOTNULL}, {attr: employeeType, op: NOTEQUAL, value: robot}]]
    join: [[{cs: externalId, mv: sourceAnchor}]]
    module: builtin:declarative
    config:
      flows:
        - {to: externalId, from: sourceAnchor}
        - {to: userName, from: mail}
        - {to: title, from: title}
        - {to: active, value: true}
  - name: Out Robot
    precedence: 110
    connector: cloud
    direction: outbound
    from: person
    to: Group
    link: provision
    on_delete: delete
    scope: [[{attr: sourceAnchor, op: ISNOTNULL}, {attr: employeeType, op: EQUAL, value: robot}]]
    join: [[{cs: externalId, mv: sourceAnchor}]]
    module: builtin:declarative
    config: {flows: [{to: externalId, from: sourceAnchor}, {to: displayName, from: mail}]}
  - name: Out Group
    precedence: 120
    connector: cloud
    direction: outbound
    from: group
    to: Group
    link: provision
    on_delete: delete
    scope: [[{attr: sourceAnchor, op: ISNOTNULL}]]
    join: [[{cs: externalId, mv: sourceAnchor}]]
    module: builtin:declarative
    config:
      flows:
        - {to: externalId, from: sourceAnchor}
        - {to: displayName, from: displayName}
        - {to: members, from: member}
"#;

pub struct Office {
    pub server: InProcess,
    pub product: Product,
    /// By uid: the lines of each entry behind its name.
    entries: BTreeMap<String, BTreeMap<&'static str, Vec<String>>>,
}

// === impl Office ===

impl Office {
    /// So many people, `p00`, `p01` ..., all of them in the group `everybody`, and the first of
    /// them delivered. `thresholds` of the target and `run` of the configuration, as YAML.
    pub fn open(people: usize, thresholds: &str, run: &str) -> Self {
        let server = InProcess::start();
        let product = Product::new(&[
            ("config.yml", ""),
            ("secret.yml", &format!("credentials:\n  cloud-token: {{value: {TOKEN}}}\n")),
            ("manifest.yml", MANIFEST),
        ]);
        let mut office = Self { server, product, entries: BTreeMap::new() };
        office.configure(thresholds, run, "");
        let mut everybody = vec![];
        for number in 0..people {
            let name = format!("p{number:02}");
            everybody.push(format!("uid={name}"));
            office.set(&name, "mail", &[&format!("{name}@a.example")]);
            office.set(&name, "title", &["clerk"]);
        }
        let everybody: Vec<&str> = everybody.iter().map(String::as_str).collect();
        office.set("everybody", "member", &everybody);
        office.save();
        office
    }

    /// Writes the configuration. `rest`: further keys.
    pub fn configure(&self, thresholds: &str, run: &str, rest: &str) {
        let base_url = self.server.base_url();
        let text = format!(
            "manifest: manifest.yml
state: {{path: state}}
sources:
  hr: {{ldif: {{path: hr.ldif, anchor: uid, links: [member]}}}}
targets:
  cloud: {{base_url: {base_url}, credential: cloud-token, thresholds: {{{thresholds}}}}}
credentials:
  cloud-token: {{kind: scim_bearer}}
rules: {{cache: cache}}
import: {{max_shrink: {{percent: 100}}}}
run: {{{run}}}
{rest}
"
        );
        self.product.write("config.yml", &text);
    }

    /// Values of an attribute of a person, or the members of a group; none: it is not there.
    pub fn set(&mut self, uid: &str, attribute: &'static str, values: &[&str]) {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.entries.entry(uid.to_owned()).or_default().insert(attribute, values);
    }

    pub fn remove(&mut self, uid: &str) {
        self.entries.remove(uid);
    }

    /// From now on the directory shows it.
    pub fn save(&self) {
        let mut text = String::new();
        for (uid, attributes) in &self.entries {
            let group = attributes.contains_key("member");
            let class = if group { "groupOfNames" } else { "inetOrgPerson" };
            text.push_str(&format!("dn: uid={uid}\nobjectClass: {class}\nuid: {uid}\n"));
            for (name, values) in attributes {
                for value in values {
                    text.push_str(&format!("{name}: {value}\n"));
                }
            }
            text.push('\n');
        }
        self.product.write("hr.ldif", &text);
        // A file that was written just now is waited with: it may still be written.
        let file = File::options().write(true).open(self.product.path("hr.ldif"));
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let aged = file.and_then(|file| file.set_modified(long_ago));
        aged.expect("the file is ours");
    }

    /// Sets it for one person and saves.
    pub fn change(&mut self, uid: &str, attribute: &'static str, values: &[&str]) {
        self.set(uid, attribute, values);
        self.save();
    }

    pub fn run(&self, arguments: &[&str]) -> Answer {
        self.product.run(arguments)
    }

    /// Runs a command that is expected to end with `code`, and gives what it printed.
    pub fn expect(&self, code: i32, arguments: &[&str]) -> Answer {
        let answer = self.run(arguments);
        assert_eq!(answer.code, code, "{arguments:?}: {answer}");
        answer
    }

    /// A cycle that ends well.
    pub fn deliver(&self) -> Json {
        self.product.json(&["once", "--json"])
    }

    /// Writes a plan to `plan.json` in the folder of the installation and gives the path and it.
    pub fn plan(&self, arguments: &[&str]) -> (String, Json) {
        let file = self.product.path("plan.json").display().to_string();
        let mut all = vec!["plan", "-o", &file, "--json"];
        all.extend(arguments);
        let answer = self.run(&all);
        assert!([0, 4].contains(&answer.code), "{answer}");
        (file, answer.json())
    }

    /// What the service holds of a person: an attribute by its user name.
    pub fn held(&self, name: &str, attribute: &str) -> Json {
        let users = self.server.all();
        let user = users.iter().find(|user| user["userName"] == format!("{name}@a.example"));
        user.map_or(Json::Null, |user| user[attribute].clone())
    }
}

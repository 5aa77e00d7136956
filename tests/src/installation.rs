//! Configuration and rules of the test installations: OpenLDAP or LDIF to one SCIM service.

use crate::product::Product;
use crate::slapd::{READER, READER_PASSWORD, SUFFIX};

/// The token that every SCIM server of the tests takes: nothing else is written like it, so that it
/// can be searched for in all that the product leaves.
pub const TOKEN: &str = "m4rk3r-0f-a-s3cr3t";

/// An installation that reads `ldap_url` and writes `base_url`, with the rules of [`MANIFEST`].
pub fn openldap_to_scim(ldap_url: &str, base_url: &str) -> Product {
    Product::new(&[
        ("config.yml", &config(ldap_url, base_url)),
        (
            "secret.yml",
            &format!(
                "credentials:\n  directory: {{value: {READER_PASSWORD}}}\n  \
                 cloud-token: {{value: {TOKEN}}}\n"
            ),
        ),
        ("manifest.yml", MANIFEST),
    ])
}

pub fn config(ldap_url: &str, base_url: &str) -> String {
    format!(
        "manifest: manifest.yml
state: {{path: state}}
sources:
  corp:
    ldap:
      kind: openldap
      urls: [{ldap_url}]
      bind: {{dn: '{READER}', credential: directory}}
      bases: ['{SUFFIX}']
targets:
  cloud: {{base_url: {base_url}, credential: cloud-token}}
credentials:
  directory: {{kind: ldap_bind}}
  cloud-token: {{kind: scim_bearer}}
rules: {{cache: cache}}
"
    )
}

/// People and groups; who is in department 19 is not for the cloud.
pub const MANIFEST: &str = r#"version: 1
connectors:
  - {name: corp, kind: openldap, order: 1}
  - {name: cloud, kind: scim, order: 2}
rules:
  - name: In from LDAP - User Join
    precedence: 100
    connector: corp
    direction: inbound
    from: inetOrgPerson
    to: person
    link: provision
    join: [[{cs: employeeNumber, mv: employeeNumber}]]
    module: builtin:declarative
    config:
      flows:
        - {to: sourceAnchor, expr: 'ConvertToBase64([entryUUID])'}
        - {to: employeeNumber, from: employeeNumber}
        - {to: accountName, expr: 'LCase([uid])'}
        - {to: givenName, from: givenName}
        - {to: sn, from: sn}
        - {to: displayName, expr: '[sn] & " " & [givenName]'}
        - {to: mail, expr: 'LCase([mail])'}
        - {to: title, from: title}
        - {to: department, from: departmentNumber}
        - {to: manager, from: manager}
  - name: In from LDAP - Group Join
    precedence: 110
    connector: corp
    direction: inbound
    from: groupOfNames
    to: group
    link: provision
    module: builtin:declarative
    config:
      flows:
        - {to: sourceAnchor, expr: 'ConvertToBase64([entryUUID])'}
        - {to: displayName, from: cn}
        - {to: member, from: member}
  - name: Out to SCIM - User Join
    precedence: 100
    connector: cloud
    direction: outbound
    from: person
    to: User
    link: provision
    on_delete: disable
    scope: [[{attr: sourceAnchor, op: ISNOTNULL}, {attr: department, op: NOTEQUAL, value: "19"}]]
    join: [[{cs: externalId, mv: sourceAnchor}]]
    module: builtin:declarative
    config:
      flows:
        - {to: externalId, from: sourceAnchor}
        - {to: userName, from: accountName}
        - {to: name.givenName, from: givenName}
        - {to: name.familyName, from: sn}
        - {to: displayName, from: displayName}
        - {to: title, from: title}
        - {to: 'emails[type eq "work"].value', from: mail}
        - {to: active, value: true}
        - to: urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department
          from: department
        - to: urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager
          from: manager
  - name: Out to SCIM - Group Join
    precedence: 110
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

/// The configuration of an installation that reads `hr.ldif` and writes `base_url`.
pub fn ldif_config(base_url: &str) -> String {
    format!(
        "manifest: manifest.yml
state: {{path: state}}
sources:
  hr: {{ldif: {{path: hr.ldif, anchor: uid}}}}
targets:
  cloud: {{base_url: {base_url}, credential: cloud-token}}
credentials:
  cloud-token: {{kind: scim_bearer}}
rules: {{cache: cache}}
"
    )
}

/// The rules for [`ldif_config`]: a person for every entry with a `uid`, a user for every person.
pub const LDIF_MANIFEST: &str = r#"version: 1
connectors:
  - {name: hr, kind: ldif, order: 1}
  - {name: cloud, kind: scim, order: 2}
rules:
  - name: Join
    precedence: 100
    connector: hr
    direction: inbound
    from: inetOrgPerson
    to: person
    link: provision
    join: [[{cs: uid, mv: sourceAnchor}]]
    module: builtin:declarative
    config: {flows: [{to: sourceAnchor, from: uid}, {to: title, from: title}]}
  - name: Out
    precedence: 100
    connector: cloud
    direction: outbound
    from: person
    to: User
    link: provision
    scope: [[{attr: sourceAnchor, op: ISNOTNULL}]]
    join: [[{cs: externalId, mv: sourceAnchor}]]
    module: builtin:declarative
    config:
      flows:
        - {to: externalId, from: sourceAnchor}
        - {to: userName, from: sourceAnchor}
        - {to: title, from: title}
"#;

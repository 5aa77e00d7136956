//! What `config check --online` says of a server: what was found, line by line.

use super::fault::Failure;
use super::options::{Bind, LdapOptions, ServerKind};
use super::session::Session;
use crate::edge::SourceReport;

/// Looks at the server and at each base. Changes nothing.
pub async fn report(session: &mut Session, options: &LdapOptions) -> Result<SourceReport, Failure> {
    let connection = &session.connection;
    let mut lines = vec![
        format!("connected to {}: {}", connection.url, connection.security),
        match &options.bind {
            Bind::Anonymous => "bound anonymously".to_owned(),
            Bind::Simple { dn, .. } => format!("bound as `{dn}`"),
            Bind::External => "bound by SASL EXTERNAL".to_owned(),
        },
        format!("server: {}", session.vendor),
        match session.kind {
            ServerKind::OpenLdap => "changes: RFC 4533 from the overlay syncprov".to_owned(),
            ServerKind::Generic | ServerKind::Auto => "changes: full listings only".to_owned(),
        },
        format!("pages: {} entries", connection.limits.page_entries),
    ];
    if options.insecure && connection.url.is_plain() && !options.starttls {
        lines.push("warning: `insecure: true`: the bind password travels in clear".to_owned());
    }
    for base in &options.bases {
        lines.push(if session.can_read(base).await? {
            format!("base `{base}`: readable, with entryUUID")
        } else {
            format!("warning: base `{base}`: it or its entryUUID cannot be read")
        });
        if session.kind == ServerKind::OpenLdap {
            let csns = session.context_csn(base).await?;
            lines.push(match csns.len() {
                0 => format!("warning: base `{base}`: contextCSN cannot be read"),
                providers => format!("base `{base}`: contextCSN of {providers} provider(s)"),
            });
        }
    }
    Ok(SourceReport { lines })
}

//! What a configuration begins with: a few answers flow in, `config.yml` flows out, every key of it
//! explained.

/// What whoever sets the product up was asked (N-07, O-20).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// `balanced`, `counted` or `evented`.
    pub preset: String,
    /// Minutes, or `-1`.
    pub expiry: String,
    /// Attempts after a rejection; asked for `counted` alone.
    pub retries: Option<u32>,
}

/// The presets, with what each is for.
pub const PRESETS: [&str; 3] = ["balanced", "counted", "evented"];

/// A configuration that loads once its addresses and secrets are filled in.
pub fn configuration(answers: &Answers) -> String {
    let Answers { preset, expiry, retries } = answers;
    let retry = match retries {
        Some(max) => format!(
            "  # Attempts after the first one; then the password is dropped.\n  \
             retry: {{rejected: {{max: {max}}}}}\n"
        ),
        None => String::new(),
    };
    format!(
        "# What is synchronized. `kakehi config show` prints every value in force.
manifest: manifest.yml
state: {{path: /var/lib/kakehi}}

sources:
  corp:
    ldap:
      urls: ['ldaps://ldap.example.com']
      bind: {{dn: 'cn=reader,dc=example,dc=com', credential: directory}}
      bases: ['dc=example,dc=com']

targets:
  cloud: {{base_url: 'https://scim.example.com/v2', credential: cloud-token}}

# The secrets themselves stand in secret.yml: `credentials: {{NAME: {{value: ...}}}}`.
credentials:
  directory: {{kind: ldap_bind}}
  cloud-token: {{kind: scim_bearer}}

# Passwords, captured in the source and set at the target. Make the key pair first:
# `kakehi password keys new`.
password:
  preset: {preset}
  # For how many minutes a password is kept that could not be delivered; -1: for ever. Anything
  # that is no number means 60, and less than three polls means three polls. For bulk changes:
  # `kakehi password sizing --count N`.
  expiry: {expiry}
{retry}  agents:
    # Who captures: the name in its captures and its certificate, and the source it watches.
    local: {{source: corp}}
  targets:
    cloud: {{match: {{source: uid, target: userName}}}}
"
    )
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn n07_what_is_written_loads_with_what_was_answered() {
        for (preset, expiry, retries) in
            [("balanced", "90", None), ("counted", "-1", Some(3)), ("evented", "6O", None)]
        {
            let (preset, expiry) = (preset.to_owned(), expiry.to_owned());
            let text = configuration(&Answers { preset: preset.clone(), expiry, retries });
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("config.yml");
            std::fs::write(&path, text).unwrap();
            let secrets = folder.path().join("secret.yml");
            let values = "credentials: {directory: {value: a}, cloud-token: {value: b}}\n";
            std::fs::write(&secrets, values).unwrap();
            std::fs::set_permissions(&secrets, Permissions::from_mode(0o600)).unwrap();
            let (config, _) = match crate::config::load(&path) {
                Ok(loaded) => loaded,
                Err(findings) => panic!("{}", findings[0]),
            };
            let password = config.password.unwrap();
            assert_eq!(password.preset, preset);
            assert_eq!(password.policy.rejected.max, retries);
        }
    }
}

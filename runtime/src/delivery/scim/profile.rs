//! Target profiles: a name or a piece of configuration flows in, how to talk to that family of
//! servers flows out (delivery.md 15, DV-11).

use schemars::JsonSchema;
use serde::Deserialize;

/// How a family of servers differs. The default is the profile `interop-2026`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// Every update is read, merged and put back: for servers without PATCH.
    pub put_only: bool,
    pub members: Members,
    /// What a new group without members says of them.
    pub create_group_members: EmptyMembers,
    pub page: Page,
    /// Statuses besides 404 by which the server says that an object is not there.
    pub not_found_alias: Vec<u16>,
    /// Whether DELETE carries an `Accept` header; some servers refuse it.
    pub accept_on_delete: bool,
    /// Most requests under way at once.
    pub concurrency_max: usize,
}

/// How memberships are written and read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Members {
    /// The first way of removing members to try; the others follow if it is refused.
    pub remove: RemoveStyle,
    /// Most members in one request.
    pub max_per_request: usize,
    /// Largest group whose member list may be replaced as a whole; 0 forbids it.
    pub replace_members_max: usize,
    /// Whether the server shows members at all.
    pub readable: bool,
}

/// How members are taken out of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RemoveStyle {
    /// One operation per member, `members[value eq "id"]`.
    Filter,
    /// One operation on `members` that lists who leaves.
    ValueArray,
    /// The whole list anew.
    Replace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmptyMembers {
    Omit,
    Empty,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Page {
    pub style: PageStyle,
    /// Most objects asked for at once.
    pub max: usize,
}

/// How a listing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PageStyle {
    /// `startIndex` and `count` (RFC 7644 section 3.4.2.4).
    Index,
    /// `cursor` and `count` (RFC 9865).
    Cursor,
    /// Everything in one answer.
    None,
}

// === impl Profile ===

impl Profile {
    /// The profiles in the binary, by name.
    pub const SHIPPED: [&str; 2] = ["interop-2026", "scim2-server"];

    /// The shipped profile of this name.
    pub fn shipped(name: &str) -> Option<Self> {
        match name {
            "interop-2026" => Some(Self::default()),
            // Its listener drops connections beyond a tiny backlog, and each request is a
            // connection: at 16 the slowest one in a hundred waits a second for its SYN to be sent
            // again.
            "scim2-server" => Some(Self { concurrency_max: 8, ..Self::default() }),
            _ => None,
        }
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            put_only: false,
            members: Members::default(),
            create_group_members: EmptyMembers::Omit,
            page: Page::default(),
            not_found_alias: vec![],
            accept_on_delete: true,
            concurrency_max: 16,
        }
    }
}

impl Default for Members {
    fn default() -> Self {
        Self {
            remove: RemoveStyle::Filter,
            // What AWS IAM Identity Center takes at most, the smallest limit known.
            max_per_request: 100,
            replace_members_max: 0,
            readable: true,
        }
    }
}

impl Default for Page {
    fn default() -> Self {
        Self { style: PageStyle::Index, max: 100 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_profile_loads_and_others_do_not() {
        for name in Profile::SHIPPED {
            assert!(Profile::shipped(name).is_some(), "{name}");
        }
        assert_eq!(Profile::shipped("interop"), None);
    }

    #[test]
    fn a_piece_of_configuration_overrides_the_default_and_nothing_unknown_is_taken() {
        let read = serde_json::from_str::<Profile>;
        let profile = read(r#"{"put_only": true, "page": {"style": "none"}}"#).unwrap();
        assert_eq!((profile.put_only, profile.page.style), (true, PageStyle::None));
        assert_eq!(profile.members, Members::default());
        assert!(read(r#"{"putonly": true}"#).is_err());
    }
}

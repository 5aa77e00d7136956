//! What a rule of a manifest says, for those who compare manifests: nothing of it needs its module.

use std::collections::BTreeMap;
use std::time::Duration;

use kakehi_engine::object::AttributeName;
use kakehi_engine::rule::{Direction, JoinGroup, LinkType, OnDelete, OnScopeExit, WritePolicy};
use kakehi_engine::scope::Scope;

use super::{ManifestRule, Origin, RuleLimits};

// === impl ManifestRule ===

impl ManifestRule {
    /// The identity of the rule on its connector, across generations.
    pub fn tag(&self) -> String {
        format!("{}@{}", self.draft.tag, self.connector)
    }

    pub fn description(&self) -> &str {
        &self.draft.description
    }

    pub fn direction(&self) -> Direction {
        self.draft.direction
    }

    /// Object types: on the connector's side, in the metaverse.
    pub fn classes(&self) -> (&str, &str) {
        (&self.draft.cs_class, &self.draft.mv_class)
    }

    pub fn link(&self) -> LinkType {
        self.draft.link
    }

    /// With the parameters of the connector filled in.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    pub fn join(&self) -> &[JoinGroup] {
        &self.draft.join
    }

    pub fn on_scope_exit(&self) -> OnScopeExit {
        self.draft.on_scope_exit
    }

    /// `None`: as the target's type has it.
    pub fn on_delete(&self) -> Option<OnDelete> {
        self.draft.on_delete.map(|(on_delete, _)| on_delete)
    }

    /// The configuration of the module, as JSON.
    pub fn config(&self) -> &str {
        &self.draft.config
    }

    /// What the manifest says of single writes, if it does.
    pub fn writes(&self) -> Option<&BTreeMap<AttributeName, WritePolicy>> {
        self.draft.writes.as_ref()
    }

    pub fn limits(&self) -> RuleLimits {
        self.draft.limits
    }

    pub fn recheck(&self) -> Option<Duration> {
        self.draft.recheck.map(|(recheck, _)| recheck)
    }

    pub fn cases(&self) -> usize {
        self.draft.cases.len()
    }

    pub fn origin(&self) -> &Origin {
        &self.draft.origin
    }
}

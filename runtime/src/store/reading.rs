//! What those read who look at the state: administrators before they act.
//!
//! Nothing here is needed for a run, and nothing here writes.

use kakehi_engine::connector_space::{CsId, CsObject, LinkOrigin, MvId};
use kakehi_engine::metaverse::MvObject;
use kakehi_engine::object::{Anchor, ClassName, ConnectorName};
use kakehi_engine::problem::Problem;
use kakehi_engine::rule::RuleTag;

use crate::store::{PendingExport, StoreError};

/// Links that one rule made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkCount {
    pub connector: ConnectorName,
    pub rule: RuleTag,
    pub origin: LinkOrigin,
    pub links: u64,
}

pub trait Reading {
    /// Names that `text` may be a misspelling or a part of, the nearest first; at most `limit`.
    fn nearest(&self, text: &str, limit: usize) -> Result<Vec<String>, StoreError>;
    /// Source objects that are not linked, by id.
    fn unlinked_sources(&self, connector: Option<&ConnectorName>) -> Result<Vec<CsId>, StoreError>;
    /// Objects that are linked, by id.
    fn linked_objects(&self) -> Result<Vec<CsId>, StoreError>;
    /// How many links each rule made, by connector and rule.
    fn link_counts(&self) -> Result<Vec<LinkCount>, StoreError>;
    /// Metaverse objects of a type, by id.
    fn mv_of_class(&self, class: &ClassName) -> Result<Vec<MvId>, StoreError>;
    /// Source objects of a connector and a type, by id.
    fn sources_of(
        &self,
        connector: &ConnectorName,
        class: &ClassName,
    ) -> Result<Vec<CsId>, StoreError>;
    /// Objects of a connector with one of these anchors, by id.
    fn with_anchor(
        &self,
        connector: &ConnectorName,
        anchors: &[Anchor],
    ) -> Result<Vec<CsId>, StoreError>;
    /// Metaverse objects one of whose source objects refers to a source object of `mv`, by id; at
    /// most `limit`.
    fn referrers(&self, mv: MvId, limit: usize) -> Result<Vec<MvId>, StoreError>;
    /// The pending exports of objects, where they have one, by id.
    fn pending_of(&self, ids: &[CsId]) -> Result<Vec<PendingExport>, StoreError>;

    // --- what a dry run changed; nothing where no journal was kept
    /// Ids of the objects of the connector space that were changed, by id.
    fn changed_objects(&self) -> Result<Vec<CsId>, StoreError>;
    /// How objects were before, in the order of `ids`, without their attributes; `None`: new.
    fn objects_before(&self, ids: &[CsId]) -> Result<Vec<Option<CsObject>>, StoreError>;
    /// A metaverse object as it was before; `None`: it was not changed, or is new.
    fn mv_before(&self, id: MvId) -> Result<Option<MvObject>, StoreError>;
    /// Problems that came and problems that went, in order.
    fn problems_moved(&self) -> Result<(Vec<Problem>, Vec<Problem>), StoreError>;
}

//! What the synchronization does to users, as the password lane hears of it (password.md 5.5).
//!
//! A run tells what it evaluated and what it exported; a task of ours deals with it, so that no run
//! waits for the lane. What a crash loses is made good at the next start: whatever waits for a user
//! that is as it should be is tried once ([`Listener::catch_up`]).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use kakehi_engine::connector_space::{CsId, MvId};
use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{Action, Event, InitialPassword, SlotKey, UserEvent, UserKey};
use kakehi_password::initial::{Initial, InitialError};
use kakehi_password::keys::HeldKeys;
use kakehi_password::lane::Lane;
use kakehi_password::queue::{ListFilter, QueueError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::users::{self, KnownUsers};
use crate::edge::{Evaluated, UserEvents};
use crate::store::StoreError;

/// Slots looked at in one step of catching up.
const PAGE: usize = 500;

/// What a run told.
pub enum Told {
    /// Source objects that were evaluated, with what they need planned.
    Evaluated(Vec<Evaluated>),
    /// Objects of a target that were written, and whether that created them.
    Exported(ConnectorName, Vec<(CsId, bool)>),
    /// Look at everything that waits.
    CatchUp,
}

/// The ear of a run.
pub struct Ear {
    lane: Arc<Lane>,
    told: UnboundedSender<Told>,
    /// Evaluated, but not planned yet.
    unplanned: Mutex<Vec<Evaluated>>,
    /// New users get a password from us, so that every one of them is of interest.
    initial: bool,
}

#[derive(Debug, thiserror::Error)]
enum ListenError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Initial(#[from] InitialError),
}

/// Deals with what was told.
pub struct Listener {
    pub lane: Arc<Lane>,
    pub users: Arc<KnownUsers>,
    pub keys: Arc<HeldKeys>,
    pub initial: Initial,
    /// Targets that passwords are set at.
    pub targets: BTreeSet<ConnectorName>,
    /// Those of them that users are synchronized to.
    pub synchronized: BTreeSet<ConnectorName>,
}

// === impl Ear ===

impl Ear {
    pub fn new(lane: Arc<Lane>, told: UnboundedSender<Told>, initial: InitialPassword) -> Self {
        let initial = initial != InitialPassword::None;
        Self { lane, told, unplanned: Mutex::default(), initial }
    }
}

impl UserEvents for Ear {
    fn wanted(&self) -> bool {
        // Where it cannot be told, nothing is missed.
        self.initial || self.lane.queue.read().has_records().unwrap_or(true)
    }

    fn evaluated(&self, objects: Vec<Evaluated>) {
        self.unplanned.lock().unwrap_or_else(PoisonError::into_inner).extend(objects);
    }

    fn planned(&self) {
        let mut unplanned = self.unplanned.lock().unwrap_or_else(PoisonError::into_inner);
        if !unplanned.is_empty() {
            // Nobody listens once the service ends; then nothing is waited for either.
            let _ = self.told.send(Told::Evaluated(std::mem::take(&mut *unplanned)));
        }
    }

    fn exported(&self, target: &ConnectorName, objects: &[(CsId, bool)]) {
        if !objects.is_empty() {
            let _ = self.told.send(Told::Exported(target.clone(), objects.to_vec()));
        }
    }
}

// === impl Listener ===

impl Listener {
    /// Listens until nobody can tell anything any more.
    pub async fn listen(&self, mut told: UnboundedReceiver<Told>) {
        while let Some(told) = told.recv().await {
            let done = match told {
                Told::Evaluated(objects) => self.evaluated(objects).await,
                Told::Exported(target, objects) => self.exported(&target, &objects).await,
                Told::CatchUp => self.catch_up().await,
            };
            if let Err(error) = done {
                tracing::error!(
                    event_id = "PW052",
                    %error,
                    "a user event was lost; what waits is tried with the user's next change"
                );
            }
        }
    }

    async fn evaluated(&self, objects: Vec<Evaluated>) -> Result<(), ListenError> {
        for object in objects {
            if object.gone {
                self.gone(&object).await?;
                continue;
            }
            let Some(known) = self.users.object(object.object)? else { continue };
            // Nobody's yet: what waits for it goes on waiting.
            let Some(mv) = known.mv else { continue };
            self.joined(mv, users::aliases_of(&known.object)).await?;
            self.renamed(mv).await?;
            for target in &self.targets {
                self.settled(mv, target).await?;
            }
        }
        Ok(())
    }

    async fn exported(
        &self,
        target: &ConnectorName,
        objects: &[(CsId, bool)],
    ) -> Result<(), ListenError> {
        if !self.targets.contains(target) {
            return Ok(());
        }
        for (object, added) in objects {
            let Some(mv) = self.users.person_of(*object)? else { continue };
            self.joined(mv, self.users.aliases(mv)?).await?;
            let slot = SlotKey { target: target.clone(), user: users::key_of(mv) };
            let what = if *added { UserEvent::Added } else { UserEvent::Settled };
            if *added || self.lane.is_live(&slot)? {
                self.raise(slot, what, mv).await?;
            }
        }
        Ok(())
    }

    /// Tries once what waits for users that are as they should be.
    async fn catch_up(&self) -> Result<(), ListenError> {
        let mut after = None;
        loop {
            let page = self.lane.queue.read().list(&ListFilter::default(), after.as_ref(), PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.key.clone());
            for listed in page {
                if let Some(mv) = users::metaverse_id(&listed.key.user) {
                    self.settled(mv, &listed.key.target).await?;
                }
            }
        }
    }

    /// A user that needs nothing at a target: whatever waits for it is tried.
    async fn settled(&self, mv: MvId, target: &ConnectorName) -> Result<(), ListenError> {
        let slot = SlotKey { target: target.clone(), user: users::key_of(mv) };
        if !self.lane.is_live(&slot)? {
            return Ok(());
        }
        let there = match self.users.at_target(mv, target)? {
            Some((_, remote_id, settled)) => remote_id.is_some() && settled,
            // To directories nobody is synchronized; who is there is seen when it is tried.
            None => !self.synchronized.contains(target),
        };
        if there {
            self.raise(slot, UserEvent::Settled, mv).await?;
        }
        Ok(())
    }

    async fn raise(&self, slot: SlotKey, what: UserEvent, mv: MvId) -> Result<(), ListenError> {
        let actions = self.lane.apply(Event::User { slot, what }).await?;
        for action in actions {
            if let Action::SetInitialPassword { slot } = action {
                let login = self.users.login(mv, &slot.target)?.unwrap_or_default();
                let ring = self.keys.ring();
                self.initial.give(&self.lane, ring.current(), &slot, &login).await?;
            }
        }
        Ok(())
    }

    /// What was kept under what a source calls the user belongs to the person from now on.
    async fn joined(&self, mv: MvId, aliases: Vec<UserKey>) -> Result<(), ListenError> {
        let key = users::key_of(mv);
        for alias in aliases {
            if self.has_slots(&alias)? {
                self.lane.join(&alias, &key).await?;
            }
        }
        Ok(())
    }

    async fn renamed(&self, mv: MvId) -> Result<(), ListenError> {
        let user = users::key_of(mv);
        for target in &self.targets {
            let slot = SlotKey { target: target.clone(), user: user.clone() };
            let Some(known) = self.lane.queue.read().slot(&slot)? else { continue };
            let Some(login) = self.users.login(mv, target)? else { continue };
            if known.login != login {
                self.lane.apply(Event::Renamed { user: user.clone(), login }).await?;
            }
        }
        Ok(())
    }

    /// A user that its source does not have any more, unless another source still has the person.
    async fn gone(&self, object: &Evaluated) -> Result<(), ListenError> {
        let mut keys = users::aliases(&object.connector, Some(&object.anchor), &object.dn);
        if let Some(mv) = object.mv
            && self.users.aliases(mv)?.is_empty()
        {
            keys.push(users::key_of(mv));
        }
        for user in keys {
            if self.has_slots(&user)? {
                self.lane.apply(Event::Deleted { user }).await?;
            }
        }
        Ok(())
    }

    fn has_slots(&self, user: &UserKey) -> Result<bool, QueueError> {
        let slot = |target: &ConnectorName| SlotKey { target: target.clone(), user: user.clone() };
        for target in &self.targets {
            if self.lane.queue.read().slot(&slot(target))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

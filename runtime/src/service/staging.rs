//! The switch of staging mode: kept in the state, so that a restart does not forget it, and seen at
//! once by a delivery under way (provisioning.md 11.13).

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::watch;

use crate::config::Config;
use crate::edge::Clock as _;
use crate::service::clock::SystemClock;
use crate::service::control::Answer;
use crate::service::failure::{Failure, Kind};
use crate::service::world::{self, World};
use crate::service::{audit, metrics};
use crate::store::sqlite::SqliteStore;
use crate::store::{DecisionKind, StagingMode, Store};
use crate::sync::Staging;

/// The switch of a running service.
#[derive(Clone)]
pub struct Switch {
    pub store: Arc<dyn Store>,
    pub staging: Staging,
    pub active: watch::Receiver<Arc<World>>,
}

// === impl Switch ===

impl Switch {
    /// What the state remembers.
    pub fn of_state(store: &Arc<dyn Store>) -> Result<Staging, Failure> {
        Ok(Staging::new(false, store.staging()?.is_some()))
    }

    /// Switches for whoever asked over the control socket.
    pub fn order(&self, on: bool, actor: &str) -> Answer {
        let world = self.active.borrow().clone();
        let why = "`kakehi staging on`";
        match switch(&*self.store, &self.staging, &world, on, actor, why) {
            Ok(()) => Answer::done(told(on)),
            Err(failure) => Answer::of(&failure),
        }
    }
}

/// Switches staging mode where no service runs.
///
/// Errors: the state is in use; K0232.
pub fn set(config: &Path, on: bool) -> Result<String, Failure> {
    let world = world::load_to_look(config)?;
    let store = SqliteStore::open(&world.config.state.path)?;
    let staging = Staging::default();
    switch(&store, &staging, &world, on, &audit::own_user(), "`kakehi staging on`")?;
    Ok(told(on))
}

/// Switches it, and notes who did. On: first of all nothing more is sent, then it is remembered.
/// Off: the other way round.
pub(crate) fn switch(
    store: &dyn Store,
    staging: &Staging,
    world: &World,
    on: bool,
    actor: &str,
    why: &str,
) -> Result<(), Failure> {
    if on {
        staging.switch(true);
    } else if world.config.run.staging {
        return Err(configured());
    }
    let known = store.staging()?;
    if known.is_some() != on {
        let mode = StagingMode { since: SystemClock.now(), by: actor.into(), why: why.into() };
        store.set_staging(on.then_some(&mode))?;
        let details = json!({ "on": on, "why": if on { why } else { "`kakehi staging off`" } });
        audit::note(store, world, DecisionKind::Staging, actor, None, &details)?;
    }
    staging.switch(on);
    metrics::staging(staging.configured(world.config.run.staging).is_on());
    tracing::warn!(event_id = "SV022", on, "staging mode was switched");
    Ok(())
}

fn configured() -> Failure {
    let message = "staging mode stays on: `run.staging` of config.yml says so";
    Failure::new(Kind::Usage, "K0232", message).hint("set it to `false`, then reload or restart")
}

fn told(on: bool) -> String {
    if on {
        "staging mode is on: nothing is sent until `kakehi staging off`".into()
    } else {
        "staging mode is off: the next cycle sends what waits".into()
    }
}

/// What holds, in one line; `None` while everything is sent as usual.
pub fn describe(config: &Config, switched: Option<&StagingMode>) -> Option<String> {
    let configured = config.run.staging.then(|| "`run.staging` of config.yml says so".to_owned());
    let switched = switched.map(|StagingMode { since, by, why }| {
        format!("switched on at {} by {by}: {why}", since.rfc3339())
    });
    let why: Vec<String> = [configured, switched].into_iter().flatten().collect();
    (!why.is_empty()).then(|| format!("staging mode is on, nothing is sent: {}", why.join("; ")))
}

//! The password lane of a running service: the configuration flows in; intake, workers and mails
//! run until told to stop.

pub mod doctor;
mod events;
pub mod operator;
mod parts;
pub mod users;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kakehi_engine::object::ConnectorName;
use kakehi_password::echo::EchoKey;
use kakehi_password::intake::{Intake, serve};
use kakehi_password::keys::HeldKeys;
use kakehi_password::lane::Lane;
use kakehi_password::mail::MailWorker;
use kakehi_password::queue::Queue;
use kakehi_password::worker::{Parts, Worker};
use kakehi_password::{log, metric, secret, words};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use self::events::{Ear, Listener, Told};
use self::operator::Operator;
use crate::config::password::{Password, PlacedAt};
use crate::edge::UserEvents;
use crate::service::clock::SystemClock;
use crate::service::failure::{Failure, Kind};
use crate::service::world::World;
use crate::sync::Staging;

/// In the folder of the state while a service works: one that is there at the start was left by a
/// crash, and user events may have been lost.
const LISTENING: &str = "password.listening";
/// How often the gauges are set.
const LOOK: Duration = Duration::from_secs(5);
/// One password in a second is what a directory is sized for (N-10).
const SECONDS_EACH: u64 = 1;

/// The lane of a running service.
pub struct Passwords {
    pub operator: Arc<Operator>,
    ear: Arc<Ear>,
    stop: watch::Sender<bool>,
    /// What must finish what it has begun.
    workers: JoinSet<()>,
    listening: PathBuf,
}

// === impl Passwords ===

impl Passwords {
    /// Opens the lane, if the configuration has one. `doors`: what ends with the service, whatever
    /// it is doing.
    ///
    /// Errors: the queue is in use or damaged, keys are missing or open to others (77), an address
    /// cannot be had.
    pub async fn begin(
        world: &World,
        staging: Staging,
        doors: &mut JoinSet<()>,
    ) -> Result<Option<Self>, Failure> {
        let Some(config) = &world.config.password else { return Ok(None) };
        harden();
        let keys = Arc::new(HeldKeys::load(&config.keys).map_err(parts::keys_failure)?);
        let echo = EchoKey::load(&config.keys)
            .map_err(|error| Failure::new(Kind::Permission, "K0281", format!("{error}")))?;
        let echo = Arc::new(echo);
        let clock = Arc::new(SystemClock);
        let (queue, counts) = Queue::open(parts::queue(&world.config, config), clock.clone())
            .map_err(parts::queue_failure)?;
        let users = parts::users(world, config)?;
        let mails = parts::mails(&world.config, config, &queue, users.clone())?.map(Arc::new);
        let names: Vec<ConnectorName> = config.targets.keys().cloned().collect();
        let lane = Arc::new(Lane::new(queue, clock, names.clone(), mails.clone()));
        let (read, expired) = (counts.read, counts.expired);
        log::say(&words::started(read, expired, counts.quarantined, counts.queued));
        for row in &counts.set_aside {
            log::say(&words::set_aside(row));
        }
        lane.follow(&counts.actions);
        warn(config);
        let shared = Arc::new(Parts {
            lane: Arc::clone(&lane),
            keys: Arc::clone(&keys),
            echo: Arc::clone(&echo),
            users: users.users(),
            held: Box::new(move || staging.is_on()),
        });
        let (stop, workers) = work(world, config, &shared, mails)?;
        let (told, listening) = mpsc::unbounded_channel();
        let ear =
            Arc::new(Ear::new(Arc::clone(&lane), told.clone(), config.policy.initial_password));
        let marker = world.config.state.path.join(LISTENING);
        if let Some(known) = users.known() {
            let listener = Listener {
                lane: Arc::clone(&lane),
                users: known,
                keys: Arc::clone(&keys),
                initial: parts::initial(&world.config, config),
                targets: config.targets.keys().cloned().collect(),
                synchronized: parts::synchronized(config),
            };
            doors.spawn(async move { listener.listen(listening).await });
            if marker.exists() {
                let _ = told.send(Told::CatchUp);
            }
        }
        // Without the mark a crash would only cost a retry that would have come by itself later.
        let _ = fs::write(&marker, b"");
        let tended = Arc::clone(&lane);
        doors.spawn(async move { tended.tend().await });
        doors.spawn(look(Arc::clone(&lane), config.policy.expiry));
        let intake = Arc::new(Intake::new(
            parts::intake(config),
            Arc::clone(&lane),
            Arc::clone(&keys),
            echo,
            users.users(),
        ));
        open(config, intake, doors).await?;
        let operator = Arc::new(Operator { lane, keys: Some(keys) });
        Ok(Some(Self { operator, ear, stop, workers, listening: marker }))
    }

    /// Who a run tells of users.
    pub fn ear(&self) -> Arc<dyn UserEvents> {
        self.ear.clone()
    }

    /// Begins nothing any more, and waits for what is under way. Whoever waits no longer leaves it
    /// to the next start.
    pub async fn finish(mut self) {
        self.stop.send_replace(true);
        while self.workers.join_next().await.is_some() {}
        let _ = fs::remove_file(&self.listening);
    }
}

/// Begins to deliver and to send mails. Gives how to tell both to stop.
fn work(
    world: &World,
    config: &Password,
    shared: &Arc<Parts>,
    mails: Option<Arc<MailWorker>>,
) -> Result<(watch::Sender<bool>, JoinSet<()>), Failure> {
    let (stop, stopped) = watch::channel(false);
    let mut workers = JoinSet::new();
    for (name, target) in &config.targets {
        let worker = Worker::new(Arc::clone(shared), parts::target(world, name, target)?);
        let stopped = stopped.clone();
        workers.spawn(async move { worker.run(stopped).await });
    }
    if let Some(mails) = mails {
        workers.spawn(send_mails(mails, stopped));
    }
    Ok((stop, workers))
}

/// No core file, no debugger of the same user: a process that holds keys (7.3).
fn harden() {
    let hardening = secret::harden_process();
    if let Some(weak) = hardening.weak() {
        tracing::warn!(event_id = "PW051", weak, "the memory of the process is not fully guarded");
    }
}

/// What an administrator should know of the policy.
fn warn(config: &Password) {
    if config.policy.expiry.is_none() && config.policy.hard_max_age.is_none() {
        log::say(&words::never_expires());
    }
}

/// Where captures arrive; last of all, so that nothing arrives before somebody works (O-09).
async fn open(
    config: &Password,
    intake: Arc<Intake>,
    doors: &mut JoinSet<()>,
) -> Result<(), Failure> {
    if config.agents.is_empty() {
        return Ok(());
    }
    let failed = |error: serve::ServeError| {
        let message = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        Failure::new(Kind::Config, "K0282", message)
            .hint("choose another address under `password.intake`")
    };
    doors.spawn(serve::local(&config.intake.socket, Arc::clone(&intake)).map_err(failed)?);
    log::say(&words::listening(&config.intake.socket.display().to_string()));
    if let Some(remote) = &config.intake.remote {
        let options = serve::RemoteOptions {
            listen: remote.listen,
            certificate: remote.certificate.clone(),
            key: remote.key.clone(),
            client_ca: remote.client_ca.clone(),
        };
        let (address, serving) = serve::remote(&options, intake).await.map_err(failed)?;
        doors.spawn(serving);
        log::say(&words::listening(&format!("https://{address}")));
    }
    Ok(())
}

async fn send_mails(mails: Arc<MailWorker>, mut stopped: watch::Receiver<bool>) {
    mails
        .run(async move {
            // An end without a word is an end as well.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        })
        .await;
}

/// Sets the gauges, and says when the backlog outgrows the expiry (PW041).
async fn look(lane: Arc<Lane>, expiry: Option<Duration>) {
    let mut told = false;
    loop {
        if let Ok(status) = lane.queue.read().status() {
            let mut states = std::collections::BTreeMap::new();
            for (state, count) in status.slots.values().flatten() {
                *states.entry(state.as_str()).or_insert(0) += count;
            }
            for (state, count) in states {
                metric::slots(state, count);
            }
            let oldest = status.oldest.values().min();
            let age = oldest.map_or(0, |oldest| (lane.now().0 - oldest.0).max(0));
            metric::oldest(Duration::from_millis(u64::try_from(age).unwrap_or(0)));
            let needed = Duration::from_secs(status.records * SECONDS_EACH);
            let exceeds = expiry.is_some_and(|expiry| needed > expiry);
            if exceeds && !told {
                let minutes = needed.as_secs().div_ceil(60);
                log::say(&words::backlog(status.records, minutes));
            }
            told = exceeds;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether a password target is a target of the synchronization.
fn is_scim(at: &PlacedAt) -> bool {
    matches!(at, PlacedAt::Scim)
}

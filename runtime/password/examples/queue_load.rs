//! How much the queue bears: captures of 18,000 users come in, 64 tasks deliver them.
//!
//! Run it under `time`, with the folder to work in and what to do: `captures`, or `all`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kakehi_engine::password::{
    AgentSequence, Answer, Event, Operation, Policy, Preset, Reach, UserKey,
};
use kakehi_engine::time::Timestamp;
use kakehi_password::door::Clock;
use kakehi_password::mail::Audience;
use kakehi_password::queue::{Arrived, BYTES_MAX, Picked, Queue, QueueOptions, RECORDS_MAX};

const USERS: u64 = 18_000;
/// Requests that agents have under way at once.
const AGENTS: usize = 64;
const WORKERS: usize = 64;
const LEASE: Duration = Duration::from_secs(60);

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp(1_775_000_000_000)
    }
}

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("which folder?")?;
    let all = arguments.next().as_deref() == Some("all");
    let options = QueueOptions {
        folder: Path::new(&folder).to_owned(),
        policy: Policy::preset(Preset::Balanced, Some(60)),
        records_max: RECORDS_MAX,
        bytes_max: BYTES_MAX,
        targets: ["cloud".into()].into(),
        audience: Audience::default(),
    };
    let (queue, counts) = Queue::open(options, Arc::new(Standing))?;
    let mut out = std::io::stdout();
    writeln!(out, "{} waited already", counts.queued)?;
    let agents = (0..AGENTS as u64).map(|agent| capture(&queue, agent));
    futures_util::future::try_join_all(agents).await?;
    writeln!(out, "{USERS} captured")?;
    if all {
        let workers = (0..WORKERS).map(|_| deliver(&queue));
        let delivered: u64 = futures_util::future::try_join_all(workers).await?.iter().sum();
        writeln!(out, "{delivered} delivered, in three transitions each")?;
    }
    Ok(())
}

async fn capture(queue: &Queue, agent: u64) -> Result<(), Failure> {
    for user in (0..USERS).skip(agent as usize).step_by(AGENTS) {
        let arrived = Arrived {
            sealed: vec![user as u8; 300],
            kid: [1; 8],
            origin: AgentSequence {
                agent: format!("dc{agent}").into(),
                epoch: 1,
                sequence: user + 1,
            },
            captured_at: Timestamp(1_775_000_000_000),
            operation: Operation::Change,
            source: "ad".into(),
            user: UserKey::from(format!("person:{user}")),
            login: format!("user{user}"),
            clamped: false,
            targets: BTreeMap::from([("cloud".into(), Reach::Deliver)]),
            echo: None,
        };
        queue.capture(arrived).await?;
    }
    Ok(())
}

async fn deliver(queue: &Queue) -> Result<u64, Failure> {
    let cloud = "cloud".into();
    let mut delivered = 0;
    while let Some(Picked { slot, attempt, .. }) = queue.pick(&cloud, 1, LEASE).await?.pop() {
        let found = Event::Found { slot: slot.clone(), attempt, answer: Answer::Ok };
        queue.apply(found).await?;
        queue.apply(Event::Set { slot, attempt, answer: Answer::Ok, token: None }).await?;
        delivered += 1;
    }
    Ok(delivered)
}

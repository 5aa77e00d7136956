//! The service's end of the control socket: it hands requests on as triggers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::{Answer, LINE_BYTES_MAX, Request};
use crate::service::audit;
use crate::service::failure::{Failure, Kind};
use crate::service::passwords::operator::Operator;
use crate::service::reload::{Trigger, ending};
use crate::service::staging::Switch;

/// The user and the group of the service.
const MODE: u32 = 0o660;

/// Between two attempts to take a connection, where the first one failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Listens at `path` and gives the work of answering there, which has no end. A socket that is
/// there already is one that a dead service left: the lock on the state is ours.
///
/// Errors: K0216.
pub fn serve(
    path: &Path,
    triggers: mpsc::Sender<Trigger>,
    switch: Switch,
    passwords: Option<Arc<Operator>>,
) -> Result<impl Future<Output = ()> + use<>, Failure> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot listen at `{}`: {error}", path.display());
        Failure::new(Kind::Config, "K0216", message)
            .hint("choose another `control.socket`: a short path in a folder of the service's user")
    };
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE)).map_err(failed)?;
    Ok(async move {
        let mut conversations = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let passwords = passwords.clone();
                        let work = converse(stream, triggers.clone(), switch.clone(), passwords);
                        conversations.spawn(work);
                    }
                    // Too many open files, for one: it passes.
                    Err(error) => {
                        tracing::warn!("control socket: {error}");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
                Some(_) = conversations.join_next() => {}
            }
        }
    })
}

async fn converse(
    mut stream: UnixStream,
    triggers: mpsc::Sender<Trigger>,
    switch: Switch,
    passwords: Option<Arc<Operator>>,
) {
    let uid = stream.peer_cred().ok().map(|peer| peer.uid());
    let actor = uid.map_or_else(|| "unknown".to_owned(), audit::user);
    let (read, mut write) = stream.split();
    let mut line = String::new();
    let mut lines = BufReader::new(read.take(LINE_BYTES_MAX));
    if lines.read_line(&mut line).await.is_err() {
        return;
    }
    let answer = match serde_json::from_str::<Request>(&line) {
        Ok(request) => {
            let asked = request.as_str();
            tracing::info!(event_id = "SV013", uid, asked, "asked over the control socket");
            match request {
                // Whoever wants to stop the sending does not wait for a reload to end.
                Request::Staging { on } => {
                    let ordered = tokio::task::spawn_blocking(move || switch.order(on, &actor));
                    ordered.await.unwrap_or_else(|_| Answer::of(&ending()))
                }
                Request::Password(order) => match passwords {
                    Some(passwords) => passwords.order(&order).await,
                    None => Answer::of(&no_passwords()),
                },
                request => hand_on(request, actor, &triggers).await,
            }
        }
        Err(error) => {
            let message = format!("this is no request: {error}");
            Answer::of(&Failure::new(Kind::Usage, "K0219", message))
        }
    };
    let mut said = serde_json::to_string(&answer).expect("an answer can be written as JSON");
    said.push('\n');
    // Whoever asked may have gone.
    let _ = write.write_all(said.as_bytes()).await;
}

fn no_passwords() -> Failure {
    Failure::new(Kind::Config, "K0288", "the service that runs synchronizes no passwords")
        .hint("add `password` to the configuration and restart it")
}

async fn hand_on(request: Request, actor: String, triggers: &mpsc::Sender<Trigger>) -> Answer {
    let (answer, answered) = oneshot::channel();
    match triggers.send(Trigger::Control { request, actor, answer }).await {
        Ok(()) => answered.await.unwrap_or_else(|_| Answer::of(&ending())),
        Err(_) => Answer::of(&ending()),
    }
}

//! Noticing that files changed: events of their folders flow in, triggers flow out once nothing
//! happened for a while. Whether anything really changed is for the contents to say.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

/// How often the files are looked at although no event came: network file systems send none.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Everything that can make a file another one, or put another one in its place: saving, renaming,
/// swapping a link.
const EVENTS: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::ATTRIB);

#[expect(deprecated, reason = "the descriptor is owned, so nobody else can close it")]
fn registered(events: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(events)
}

/// The folders that are watched now.
pub struct Watch {
    events: Option<AsyncFd<OwnedFd>>,
}

// === impl Watch ===

impl Watch {
    /// Watches these folders. One that cannot be watched, and all of them where the kernel has no
    /// watches left, are looked at now and then all the same.
    pub fn of(folders: &[PathBuf]) -> Self {
        let begun = || -> io::Result<_> {
            let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
            for folder in folders {
                if let Err(error) = inotify::add_watch(&events, folder, EVENTS) {
                    tracing::debug!("cannot watch `{}`: {error}", folder.display());
                }
            }
            registered(events)
        };
        let events = begun().inspect_err(|error| {
            tracing::warn!("changed files are noticed after a minute only: {error}");
        });
        Self { events: events.ok() }
    }

    /// Watches nothing.
    pub fn nothing() -> Self {
        Self { events: None }
    }

    /// Returns once something happened and then nothing for the time of `debounce`; or when it is
    /// time to look.
    pub async fn something(&self, debounce: Duration) {
        let _ = tokio::time::timeout(LOOK_EVERY, self.event()).await;
        self.settled(debounce).await;
    }

    /// Returns once nothing happened for the time of `debounce`; in a folder that never comes to
    /// rest, after ten times that.
    pub async fn settled(&self, debounce: Duration) {
        let rest = async { while tokio::time::timeout(debounce, self.event()).await.is_ok() {} };
        let _ = tokio::time::timeout(debounce * 10, rest).await;
    }

    /// Returns after at least one event; never if there is nothing to watch.
    async fn event(&self) {
        let Some(events) = &self.events else { return std::future::pending().await };
        let mut buffer = [0; 4096];
        let read = events
            .readable()
            .await
            .map(|mut ready| ready.try_io(|events| Ok(rustix::io::read(events, &mut buffer)?)));
        if let Ok(Err(_would_block)) = read {
            Box::pin(self.event()).await;
        }
    }
}

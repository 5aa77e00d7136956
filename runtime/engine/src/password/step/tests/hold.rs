//! What waits, and what ends it (T25 to T36, T40, T41).

use expect_test::expect;

use super::{balanced, check, counted, evented};

#[test]
fn t25_n12_the_users_add_brings_the_waiting_password() {
    let script = "capture; pick; found none; settled; pick; found none; added; pick; found ok; \
                  set ok";
    check(
        evented(),
        script,
        &expect![[r#"
            capture: T01 READY due +3600: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found none: T10 WAIT_USER due +3600: note NotFound
            settled: T25 READY due +3600
            pick: T07 FINDING due +60: find taro
            found none: T10 WAIT_USER due +3600: note NotFound
            added: T25 READY due +3600
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 1, purge 1
        "#]],
    );
}

#[test]
fn t25_an_add_that_overtakes_the_answer_is_not_forgotten() {
    let script = "capture; pick; added; found none; pick; found ok; set ok";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            added: - FINDING due +60
            found none: T10+T25 READY due +259200: note NotFound
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 1, purge 1
        "#]],
    );
}

#[test]
fn t26_time_brings_a_waiting_password_if_it_may() {
    let script = "capture; pick; found none; +60; due";
    check(
        {
            let mut policy = balanced();
            policy.not_found.triggers.timer = true;
            policy
        },
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found none: T10 WAIT_USER due +60: note NotFound
            due: T26 READY due +259140
        "#]],
    );
}

#[test]
fn t27_n03_one_attempt_for_one_event() {
    let script = "capture; pick; found ok; set short; settled; settled; pick; found ok; set short";
    check(
        evented(),
        script,
        &expect![[r#"
            capture: T01 READY due +3600: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set short: T18 WAIT_REJECTED due +3600: note Rejected(TooShort), mail rejected 1/1
            settled: T27 READY due +3600
            settled: - READY due +3600
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set short: T18 WAIT_REJECTED due +3600: note Rejected(TooShort), mail rejected 1/2
        "#]],
    );
}

#[test]
fn t28_o19_a_rejected_password_is_tried_again_by_time() {
    let script = "capture; pick; found ok; set short; settled; +59; due; +1; due";
    check(
        counted(3),
        script,
        &expect![[r#"
            capture: T01 READY: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set short: T18 WAIT_REJECTED due +60: note Rejected(TooShort)
            settled: - WAIT_REJECTED due +60
            due: - WAIT_REJECTED due +1
            due: T28 READY
        "#]],
    );
}

#[test]
fn t29_an_outage_is_over_by_time_by_news_and_by_a_credential() {
    let script = "capture; pick; found down; +7; due; pick; found down; recovered; pick; \
                  found down; credential";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found down: T12 WAIT_UNAVAILABLE due +4: note Unreachable
            due: T29 READY due +259193
            pick: T07 FINDING due +60: find taro
            found down: T12 WAIT_UNAVAILABLE due +10: note Unreachable again
            recovered: T29 READY due +259193
            pick: T07 FINDING due +60: find taro
            found down: T12 WAIT_UNAVAILABLE due +18: note Unreachable again
            credential: T29 READY due +259193
        "#]],
    );
}

#[test]
fn t29_evented_waits_for_a_credential_but_not_for_time() {
    let script = "capture; pick; found down; +70; due; recovered; credential";
    check(
        evented(),
        script,
        &expect![[r#"
            capture: T01 READY due +3600: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found down: T12 WAIT_UNAVAILABLE due +3600: note Unreachable
            due: - WAIT_UNAVAILABLE due +3530
            recovered: - WAIT_UNAVAILABLE due +3530
            credential: T29 READY due +3530
        "#]],
    );
}

#[test]
fn t30_an_event_ends_the_wait_for_a_target() {
    let script = "capture; pick; found down; settled";
    check(
        evented(),
        script,
        &expect![[r#"
            capture: T01 READY due +3600: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found down: T12 WAIT_UNAVAILABLE due +3600: note Unreachable
            settled: T30 READY due +3600
        "#]],
    );
}

#[test]
fn t31_n06_n18_what_is_too_old_leaves() {
    let script = "capture; pick; found none; +3599; due; +1; due";
    check(
        evented(),
        script,
        &expect![[r#"
            capture: T01 READY due +3600: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found none: T10 WAIT_USER due +3600: note NotFound
            due: - WAIT_USER due +1
            due: T31 EMPTY: note Expired, mail expired 1/1, EXPIRED 1, purge 1
        "#]],
    );
}

#[test]
fn t31_d10_an_outage_does_not_expire_but_the_hard_limit_does() {
    let script = "capture; pick; found down; +86400; due; pick; found down; +172800; due";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found down: T12 WAIT_UNAVAILABLE due +4: note Unreachable
            due: T29 READY due +172800
            pick: T07 FINDING due +60: find taro
            found down: T12 WAIT_UNAVAILABLE due +10: note Unreachable again
            due: T31 EMPTY: note Expired, mail expired 1/1, EXPIRED 1, purge 1
        "#]],
    );
}

#[test]
fn t32_what_expires_in_flight_is_decided_after_it() {
    let script = "capture; +3590; pick; +10; due; found none; capture; +3590; pick; +10; due; \
                  found ok; set ok";
    check(
        evented(),
        script,
        &expect![[r#"
            capture: T01 READY due +3600: queued 1, note Queued, ack queued
            pick: T07 FINDING due +10: find taro
            due: T32 FINDING due +50
            found none: T32 EMPTY: note Expired, mail expired 1/1, EXPIRED 1, purge 1
            capture: T01 READY due +3600: queued 2, note Queued, ack queued
            pick: T07 FINDING due +10: find taro
            due: T32 FINDING due +50
            found ok: T08 SETTING due +50: set 2
            set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 2, purge 2
        "#]],
    );
}

#[test]
fn t32_a_state_that_expires_is_not_entered_any_more() {
    let script = "capture; pick; found down; +4000; due; pick; found ok; set short";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found down: T12 WAIT_UNAVAILABLE due +4: note Unreachable
            due: T29 READY due +255200
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set short: T18+T32 EMPTY
                note Rejected(TooShort), note Expired, mail expired 1/2, EXPIRED 1, purge 1
        "#]],
    );
}

#[test]
fn t33_a_deleted_user_takes_its_password_along() {
    let script = "capture; deleted; capture; pick; capture; deleted; found ok";
    check(
        balanced(),
        script,
        &expect![[r#"
        capture: T01 READY due +259200: queued 1, note Queued, ack queued
        deleted: T33 EMPTY: PURGED_USER_DELETED 1, purge 1
        capture: T01 READY due +259200: queued 2, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        capture: T06 FINDING due +60: queued 3, note Queued, ack queued
        deleted: T33 FINDING due +60: PURGED_USER_DELETED 3, purge 3
        found ok: T33 EMPTY: PURGED_USER_DELETED 2, purge 2
    "#]],
    );
}

#[test]
fn t33_a_delivery_is_one_even_after_the_deletion() {
    let script = "capture; pick; found ok; capture; deleted; set ok";
    check(
        balanced(),
        script,
        &expect![[r#"
        capture: T01 READY due +259200: queued 1, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        found ok: T08 SETTING due +60: set 1
        capture: T06 SETTING due +60: queued 2, note Queued, ack queued
        deleted: T33 SETTING due +60: PURGED_USER_DELETED 2, purge 2
        set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 1, purge 1
    "#]],
    );
}

#[test]
fn t34_a_rename_is_what_is_looked_up() {
    let script = "capture; pick; found none; renamed tarou; pick";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found none: T10 WAIT_USER due +3600: note NotFound
            renamed tarou: T34+T25 READY due +259200
            pick: T07 FINDING due +60: find tarou
        "#]],
    );
}

#[test]
fn t35_operators_try_again() {
    let script = "capture; pick; found ok; set short; retry; pick; found none; retry; pick; \
                  found down; retry";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set short: T18 WAIT_REJECTED due +3600: note Rejected(TooShort), mail rejected 1/1
            retry: T35 READY due +259200
            pick: T07 FINDING due +60: find taro
            found none: T10 WAIT_USER due +3600: note NotFound
            retry: T35 READY due +259200
            pick: T07 FINDING due +60: find taro
            found down: T12 WAIT_UNAVAILABLE due +4: note Unreachable
            retry: T35 READY due +259200
        "#]],
    );
}

#[test]
fn t36_operators_purge() {
    let script = "capture; purge; capture; pick; capture; purge; found none";
    check(
        balanced(),
        script,
        &expect![[r#"
        capture: T01 READY due +259200: queued 1, note Queued, ack queued
        purge: T36 EMPTY: PURGED_OPERATOR 1, purge 1
        capture: T01 READY due +259200: queued 2, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        capture: T06 FINDING due +60: queued 3, note Queued, ack queued
        purge: T36 FINDING due +60: PURGED_OPERATOR 3, purge 3
        found none: T36 EMPTY: PURGED_OPERATOR 2, purge 2
    "#]],
    );
}

#[test]
fn t40_n14_who_is_created_without_a_password_gets_one() {
    let script = "added; capture; pick; found none; added; pick; found ok; set ok";
    check(
        {
            let mut policy = evented();
            policy.initial_password = crate::password::InitialPassword::Random;
            policy
        },
        script,
        &expect![[r#"
            added: T40 EMPTY
                set initial, INITIAL_PASSWORD -, note InitialPassword, mail default_used 1/1
            capture: T01 READY due +3600: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found none: T10 WAIT_USER due +3600: note NotFound
            added: T25 READY due +3600
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 1, purge 1
        "#]],
    );
}

#[test]
fn t40_nothing_is_set_where_nothing_is_wanted() {
    let script = "capture; purge; added";
    check(
        evented(),
        script,
        &expect![[r#"
            capture: T01 READY due +3600: queued 1, note Queued, ack queued
            purge: T36 EMPTY: PURGED_OPERATOR 1, purge 1
            added: - EMPTY
        "#]],
    );
}

#[test]
fn t41_o37_a_pause_takes_captures_and_delivers_none() {
    let script = "pause all; capture; pick; resume all; pause target; pick; pause slot; \
                  resume target; pick; resume user; pick";
    check(
        balanced(),
        script,
        &expect![[r#"
            pause all: - -
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: - READY due +259200
            resume all: - READY due +259200
            pause target: T41 READY due +259200
            pick: - READY due +259200
            pause slot: T41 READY due +259200
            resume target: - READY due +259200
            pick: - READY due +259200
            resume user: - READY due +259200
            pick: T07 FINDING due +60: find taro
        "#]],
    );
}

#[test]
fn t41_expiry_runs_on_in_a_pause() {
    let script = "capture; pause all; +3600; due";
    check(
        evented(),
        script,
        &expect![[r#"
            capture: T01 READY due +3600: queued 1, note Queued, ack queued
            pause all: T41 READY due +3600
            due: T31 EMPTY: note Expired, mail expired 1/1, EXPIRED 1, purge 1
        "#]],
    );
}

#[test]
fn t41_expiry_stands_still_if_it_may() {
    let script = "capture; pick; found none; pause all; +3600; due; resume all; +3599; due; +1; \
                  due";
    check(
        {
            let mut policy = evented();
            policy.pause_freezes_expiry = true;
            policy
        },
        script,
        &expect![[r#"
            capture: T01 READY due +3600: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found none: T10 WAIT_USER due +3600: note NotFound
            pause all: T41 WAIT_USER
            due: - WAIT_USER
            resume all: - WAIT_USER due +3600
            due: - WAIT_USER due +1
            due: T31 EMPTY: note Expired, mail expired 1/1, EXPIRED 1, purge 1
        "#]],
    );
}

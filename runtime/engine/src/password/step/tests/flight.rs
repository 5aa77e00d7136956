//! Flights and their answers (T07 to T24).

use expect_test::expect;

use super::{balanced, check, counted, evented};

#[test]
fn t07_a_pick_looks_the_user_up() {
    let script = "capture; pick; pick";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            pick: - FINDING due +60
        "#]],
    );
}

#[test]
fn t08_a_user_who_was_found_gets_the_password() {
    let script = "capture; pick; found ok";
    check(
        balanced(),
        script,
        &expect![[r#"
        capture: T01 READY due +259200: queued 1, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        found ok: T08 SETTING due +60: set 1
    "#]],
    );
}

#[test]
fn t09_a_newer_capture_stops_the_older_one_before_it_is_sent() {
    let script = "capture; pick; capture; found none; pick; capture; found down";
    check(
        balanced(),
        script,
        &expect![[r#"
        capture: T01 READY due +259200: queued 1, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        capture: T06 FINDING due +60: queued 2, note Queued, ack queued
        found none: T09 READY due +259200: SUPERSEDED 1, purge 1
        pick: T07 FINDING due +60: find taro
        capture: T06 FINDING due +60: queued 3, note Queued, ack queued
        found down: T09 READY due +259200: note Unreachable, SUPERSEDED 2, purge 2
    "#]],
    );
}

#[test]
fn t10_n01_a_user_who_is_not_there_yet_is_waited_for() {
    let script = "capture; pick; found none";
    check(
        balanced(),
        script,
        &expect![[r#"
        capture: T01 READY due +259200: queued 1, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        found none: T10 WAIT_USER due +3600: note NotFound
    "#]],
    );
}

#[test]
fn t11_o13_counted_drops_whom_it_does_not_find() {
    let script = "capture; pick; found none";
    check(
        counted(3),
        script,
        &expect![[r#"
        capture: T01 READY: queued 1, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        found none: T11 EMPTY: note NotFound, DROPPED_NOT_FOUND 1, purge 1
    "#]],
    );
}

#[test]
fn t12_an_unavailable_target_is_asked_later() {
    let script = "capture; pick; found down; +6; due; pick; found down 40";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found down: T12 WAIT_UNAVAILABLE due +4: note Unreachable
            due: T29 READY due +259194
            pick: T07 FINDING due +60: find taro
            found down 40: T12 WAIT_UNAVAILABLE due +40: note Unreachable again
        "#]],
    );
}

#[test]
fn t13_a_look_up_that_is_rejected_counts() {
    let script = "capture; pick; found ambiguous; +60; due; pick; found ambiguous";
    check(
        counted(1),
        script,
        &expect![[r#"
            capture: T01 READY: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ambiguous: T13 WAIT_REJECTED due +60: note LookupRejected
            due: T28 READY
            pick: T07 FINDING due +60: find taro
            found ambiguous: T14 EMPTY
                note LookupRejected, note GaveUp { retries: 1 }, MAX_RETRIES 1, purge 1
        "#]],
    );
}

#[test]
fn t14_a_look_up_is_rejected_for_the_last_time() {
    let script = "capture; pick; found short";
    check(
        counted(0),
        script,
        &expect![[r#"
            capture: T01 READY: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found short: T14 EMPTY
                note LookupRejected, note GaveUp { retries: 0 }, MAX_RETRIES 1, purge 1
        "#]],
    );
}

#[test]
fn t15_o21_o25_a_delivered_record_leaves() {
    let script = "capture; pick; found ok; set ok";
    check(
        balanced(),
        script,
        &expect![[r#"
        capture: T01 READY due +259200: queued 1, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        found ok: T08 SETTING due +60: set 1
        set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 1, purge 1
    "#]],
    );
}

#[test]
fn t16_a_delivery_is_followed_by_the_newer_one() {
    let script = "capture; pick; found ok; capture; set ok; pick; found ok; set ok";
    check(
        balanced(),
        script,
        &expect![[r#"
        capture: T01 READY due +259200: queued 1, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        found ok: T08 SETTING due +60: set 1
        capture: T06 SETTING due +60: queued 2, note Queued, ack queued
        set ok: T16 READY due +259200: note Delivered, echo token, DELIVERED 1, purge 1
        pick: T07 FINDING due +60: find taro
        found ok: T08 SETTING due +60: set 2
        set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 2, purge 2
    "#]],
    );
}

#[test]
fn t17_a_newer_capture_makes_a_rejection_irrelevant() {
    let script = "capture; pick; found ok; capture; set short; pick; found ok; capture; \
                  set none; pick; found ok; capture; set down";
    check(
        balanced(),
        script,
        &expect![[r#"
        capture: T01 READY due +259200: queued 1, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        found ok: T08 SETTING due +60: set 1
        capture: T06 SETTING due +60: queued 2, note Queued, ack queued
        set short: T17 READY due +259200: SUPERSEDED 1, purge 1
        pick: T07 FINDING due +60: find taro
        found ok: T08 SETTING due +60: set 2
        capture: T06 SETTING due +60: queued 3, note Queued, ack queued
        set none: T23+T17 READY due +259200: forget id, SUPERSEDED 2, purge 2
        pick: T07 FINDING due +60: find taro
        found ok: T08 SETTING due +60: set 3
        capture: T06 SETTING due +60: queued 4, note Queued, ack queued
        set down: T17 READY due +259200: note Unreachable, SUPERSEDED 3, purge 3
    "#]],
    );
}

#[test]
fn t17_an_uncertain_older_request_is_remembered() {
    let script = "capture; pick; found ok; capture; set lost; pick; found ok; set ok; +30; due; \
                  pick; found ok; set ok";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            capture: T06 SETTING due +60: queued 2, note Queued, ack queued
            set lost: T21+T17 READY due +259200
                note Unreachable, close, echo token, SUPERSEDED 1, purge 1
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 2
            set ok: T15 READY due +30: note Delivered, echo token, DELIVERED 2
            due: - READY due +259170
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 2
            set ok: T15 EMPTY: echo token, purge 2
        "#]],
    );
}

#[test]
fn t18_o19_n19_a_rejection_counts_and_waits() {
    let script = "capture; pick; found ok; set short; +60; due";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set short: T18 WAIT_REJECTED due +3600: note Rejected(TooShort), mail rejected 1/1
            due: - WAIT_REJECTED due +3540
        "#]],
    );
}

#[test]
fn t19_o22_o24_d01_three_granted_retries_are_four_requests() {
    let script = "capture; pick; found ok; set short; +60; due; pick; found ok; set short; +60; \
                  due; pick; found ok; set short; +60; due; pick; found ok; set short";
    check(
        counted(3),
        script,
        &expect![[r#"
            capture: T01 READY: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set short: T18 WAIT_REJECTED due +60: note Rejected(TooShort)
            due: T28 READY
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set short: T18 WAIT_REJECTED due +60: note Rejected(TooShort)
            due: T28 READY
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set short: T18 WAIT_REJECTED due +60: note Rejected(TooShort)
            due: T28 READY
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set short: T19 EMPTY
                note Rejected(TooShort), note GaveUp { retries: 3 }, MAX_RETRIES 1, purge 1
        "#]],
    );
}

#[test]
fn t19_d01_no_retry_granted_is_one_request() {
    let script = "capture; pick; found ok; set short";
    check(
        counted(0),
        script,
        &expect![[r#"
            capture: T01 READY: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set short: T19 EMPTY
                note Rejected(TooShort), note GaveUp { retries: 0 }, MAX_RETRIES 1, purge 1
        "#]],
    );
}

#[test]
fn t20_o26_a_target_that_goes_between_the_requests_is_unavailable() {
    let script = "capture; pick; found ok; set down";
    check(
        counted(3),
        script,
        &expect![[r#"
        capture: T01 READY: queued 1, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        found ok: T08 SETTING due +60: set 1
        set down: T20 WAIT_UNAVAILABLE due +4: note Unreachable
    "#]],
    );
}

#[test]
fn t21_a_lost_answer_leaves_it_open() {
    let script = "capture; pick; found ok; set lost";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set lost: T21 WAIT_UNAVAILABLE due +4: note Unreachable, close, echo token
        "#]],
    );
}

#[test]
fn t22_history_after_a_lost_answer_is_a_delivery() {
    let script = "capture; pick; found ok; set lost; +6; due; pick; found ok; set history";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set lost: T21 WAIT_UNAVAILABLE due +4: note Unreachable, close, echo token
            due: T29 READY due +259194
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set history: T22 EMPTY
                note DeliveredPresumed, echo token, DELIVERED_PRESUMED 1, purge 1
        "#]],
    );
}

#[test]
fn t23_a_user_who_vanished_between_the_requests() {
    let script = "capture; pick; found ok; set none";
    check(
        balanced(),
        script,
        &expect![[r#"
        capture: T01 READY due +259200: queued 1, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        found ok: T08 SETTING due +60: set 1
        set none: T23 WAIT_USER due +3600: forget id, note NotFound
    "#]],
    );
}

#[test]
fn t23_counted_drops_a_user_who_vanished() {
    let script = "capture; pick; found ok; set none";
    check(
        counted(1),
        script,
        &expect![[r#"
        capture: T01 READY: queued 1, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        found ok: T08 SETTING due +60: set 1
        set none: T23 EMPTY: forget id, note NotFound, DROPPED_NOT_FOUND 1, purge 1
    "#]],
    );
}

#[test]
fn t24_a_refused_credential_holds_everything() {
    let script = "capture; pick; found refused; as jiro; capture; pick; credential; pick; \
                  found ok; set refused; as taro; +31; due; pick; found ok; set ok";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found refused: T24 WAIT_UNAVAILABLE due +30: note Refused, mail target_down 1/1
            capture: T01 READY due +30: queued 2, note Queued, ack queued
            pick: - READY due +30
            credential: T29 READY due +259200
            pick: T07 FINDING due +60: find jiro
            found ok: T08 SETTING due +60: set 2
            set refused: T24 WAIT_UNAVAILABLE due +30: note Refused, mail target_down 1/1
            due: - READY due +259169
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set ok: T15 EMPTY: wake, note Delivered, echo token, DELIVERED 1, purge 1
        "#]],
    );
}

#[test]
fn t24_it_is_told_once() {
    let script = "capture; pick; found refused; +31; due; pick; found refused; +61; due";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found refused: T24 WAIT_UNAVAILABLE due +30: note Refused, mail target_down 1/1
            due: T29 READY due +259169
            pick: T07 FINDING due +60: find taro
            found refused: T24 WAIT_UNAVAILABLE due +60: note Refused again
            due: T29 READY due +259108
        "#]],
    );
}

#[test]
fn t37_a_restart_begins_again() {
    let script = "capture; pick; restarted; pick; found ok; set ok";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            restarted: T37 READY due +259200
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 1, purge 1
        "#]],
    );
}

#[test]
fn t37_a_lost_lease_while_setting_is_uncertain() {
    let script = "capture; pick; found ok; +60; due; set ok; pick; found ok; set history";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            due: T37 READY due +259140: close
            set ok: - READY due +259140
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set history: T22 EMPTY
                note DeliveredPresumed, echo token, DELIVERED_PRESUMED 1, purge 1
        "#]],
    );
}

#[test]
fn t37_the_newer_one_follows_a_restart() {
    let script = "capture; pick; found ok; capture; restarted; pick; found ok; set ok; +30; due";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            capture: T06 SETTING due +60: queued 2, note Queued, ack queued
            restarted: T37 READY due +259200: close, SUPERSEDED 1, purge 1
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 2
            set ok: T15 READY due +30: note Delivered, echo token, DELIVERED 2
            due: - READY due +259170
        "#]],
    );
}

#[test]
fn t38_a_record_that_cannot_be_opened_is_set_aside() {
    let script = "capture; pick; found ok; unopened; +60; due; settled; retry; pick";
    check(
        evented(),
        script,
        &expect![[r#"
            capture: T01 READY due +3600: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            unopened: T38 QUARANTINED due +3600
                note Quarantined { reason: "unknown key" }, QUARANTINED 1
            due: - QUARANTINED due +3540
            settled: - QUARANTINED due +3540
            retry: T35 READY due +3540
            pick: T07 FINDING due +60: find taro
        "#]],
    );
}

#[test]
fn t39_a_poison_record_is_rejected() {
    let script = "capture; pick; found ok; set error; as jiro; capture; pick; found ok; set ok; \
                  as taro; recovered; pick; found ok; set error; recovered; pick; found ok; \
                  set error; recovered; pick; found ok; set error; as jiro; capture; pick; \
                  found ok; set ok; as taro; recovered; pick; found ok; set error";
    check(
        counted(3),
        script,
        &expect![[r#"
            capture: T01 READY: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set error: T20 WAIT_UNAVAILABLE due +4: note Unreachable
            capture: T01 READY: queued 2, note Queued, ack queued
            pick: T07 FINDING due +60: find jiro
            found ok: T08 SETTING due +60: set 2
            set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 2, purge 2
            recovered: T29 READY
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set error: T20 WAIT_UNAVAILABLE due +10: note Unreachable
            recovered: T29 READY
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set error: T20 WAIT_UNAVAILABLE due +18: note Unreachable again
            recovered: T29 READY
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set error: T20 WAIT_UNAVAILABLE due +35: note Unreachable again
            capture: T01 READY: queued 3, note Queued, ack queued
            pick: T07 FINDING due +60: find jiro
            found ok: T08 SETTING due +60: set 3
            set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 3, purge 3
            recovered: T29 READY
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set error: T20+T39+T18 WAIT_REJECTED due +60: note Poison
        "#]],
    );
}

#[test]
fn t39_an_outage_poisons_nothing() {
    let script = "capture; pick; found error; recovered; pick; found error; recovered; pick; \
                  found error; recovered; pick; found error; recovered; pick; found error; +31; \
                  due; pick; found error";
    check(
        counted(3),
        script,
        &expect![[r#"
            capture: T01 READY: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found error: T12 WAIT_UNAVAILABLE due +4: note Unreachable
            recovered: T29 READY
            pick: T07 FINDING due +60: find taro
            found error: T12 WAIT_UNAVAILABLE due +10: note Unreachable again
            recovered: T29 READY
            pick: T07 FINDING due +60: find taro
            found error: T12 WAIT_UNAVAILABLE due +18: note Unreachable again
            recovered: T29 READY
            pick: T07 FINDING due +60: find taro
            found error: T12 WAIT_UNAVAILABLE due +35: note Unreachable again
            recovered: T29 READY
            pick: T07 FINDING due +60: find taro
            found error: T12 WAIT_UNAVAILABLE due +78: note Unreachable again
            due: - WAIT_UNAVAILABLE due +47
            pick: - WAIT_UNAVAILABLE due +47
            found error: - WAIT_UNAVAILABLE due +47
        "#]],
    );
}

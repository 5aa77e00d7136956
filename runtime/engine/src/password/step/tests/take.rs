//! Captures: taken, known, not for this target (T01 to T06).

use expect_test::expect;

use super::{balanced, check, evented};

#[test]
fn t01_a_new_capture_waits_and_is_acknowledged() {
    let script = "capture";
    check(
        balanced(),
        script,
        &expect![[r#"
        capture: T01 READY due +259200: queued 1, note Queued, ack queued
    "#]],
    );
}

#[test]
fn t02_a_capture_told_again_changes_nothing() {
    let script = "capture dc1 5; capture dc1 5; capture dc1 4; pick; capture dc1 5";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture dc1 5: T01 READY due +259200: queued 1, note Queued, ack queued
            capture dc1 5: T02 READY due +259200
                duplicate 2, note StaleOrDuplicate, ack duplicate
            capture dc1 4: T02 READY due +259200: stale 3, note StaleOrDuplicate, ack stale
            pick: T07 FINDING due +60: find taro
            capture dc1 5: T02 FINDING due +60
                duplicate 4, note StaleOrDuplicate, ack duplicate
        "#]],
    );
}

#[test]
fn t02_a_repetition_after_another_agents_capture_is_known() {
    let script = "capture dc1 5; capture dc2 1; capture dc1 5";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture dc1 5: T01 READY due +259200: queued 1, note Queued, ack queued
            capture dc2 1: T05 READY due +259200
                note Tied, queued 2, note Queued, SUPERSEDED 1, purge 1, ack queued
            capture dc1 5: T02 READY due +259200
                duplicate 3, note StaleOrDuplicate, ack duplicate
        "#]],
    );
}

#[test]
fn t03_an_echo_is_not_delivered() {
    let script = "echo; pick";
    check(
        balanced(),
        script,
        &expect![[r#"
            echo: T03 EMPTY: echo 1, note Echo, ack echo
            pick: - EMPTY
        "#]],
    );
}

#[test]
fn t03_an_echo_ends_what_its_own_system_said_before() {
    let script = "capture dc1; echo dc2";
    check(
        balanced(),
        script,
        &expect![[r#"
        capture dc1: T01 READY due +259200: queued 1, note Queued, ack queued
        echo dc2: T03 EMPTY: SUPERSEDED 1, purge 1, echo 2, note Echo, ack echo
    "#]],
    );
}

#[test]
fn t03_an_echo_leaves_what_another_system_said() {
    let script = "capture dc1; echo branch; pick";
    check(
        balanced(),
        script,
        &expect![[r#"
        capture dc1: T01 READY due +259200: queued 1, note Queued, ack queued
        echo branch: T03 READY due +259200: echo 2, note Echo, ack echo
        pick: T07 FINDING due +60: find taro
    "#]],
    );
}

#[test]
fn t03_an_echo_in_flight_lets_nothing_more_be_sent() {
    let script = "capture; pick; capture; echo; found ok";
    check(
        balanced(),
        script,
        &expect![[r#"
        capture: T01 READY due +259200: queued 1, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        capture: T06 FINDING due +60: queued 2, note Queued, ack queued
        echo: T03 FINDING due +60: SUPERSEDED 2, purge 2, echo 3, note Echo, ack echo
        found ok: - EMPTY: SUPERSEDED 1, purge 1
    "#]],
    );
}

#[test]
fn t04_a_filtered_capture_overtakes_what_waits() {
    let script = "filtered; capture; filtered";
    check(
        balanced(),
        script,
        &expect![[r#"
            filtered: T04 EMPTY: filtered 1, note Filtered, ack filtered
            capture: T01 READY due +259200: queued 2, note Queued, ack queued
            filtered: T04 EMPTY
                SUPERSEDED 2, purge 2, filtered 3, note Filtered, ack filtered
        "#]],
    );
}

#[test]
fn t04_a_filtered_capture_in_flight_lets_nothing_more_be_sent() {
    let script = "capture; pick; filtered; capture; found ok; pick";
    check(
        balanced(),
        script,
        &expect![[r#"
        capture: T01 READY due +259200: queued 1, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        filtered: T04 FINDING due +60: filtered 2, note Filtered, ack filtered
        capture: T06 FINDING due +60: queued 3, note Queued, ack queued
        found ok: - READY due +259200: SUPERSEDED 1, purge 1
        pick: T07 FINDING due +60: find taro
    "#]],
    );
}

#[test]
fn t04_a_delivery_is_one_even_if_a_filtered_capture_overtook_it() {
    let script = "capture; pick; found ok; filtered; set ok";
    check(
        balanced(),
        script,
        &expect![[r#"
        capture: T01 READY due +259200: queued 1, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        found ok: T08 SETTING due +60: set 1
        filtered: T04 SETTING due +60: filtered 2, note Filtered, ack filtered
        set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 1, purge 1
    "#]],
    );
}

#[test]
fn t05_a_newer_capture_replaces_the_one_that_waits() {
    let script = "capture; capture; pick; found ok; set short; capture";
    check(
        evented(),
        script,
        &expect![[r#"
            capture: T01 READY due +3600: queued 1, note Queued, ack queued
            capture: T05 READY due +3600
                queued 2, note Queued, SUPERSEDED 1, purge 1, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 2
            set short: T18 WAIT_REJECTED due +3600: note Rejected(TooShort), mail rejected 2/1
            capture: T05 READY due +3600
                queued 3, note Queued, SUPERSEDED 2, purge 2, ack queued
        "#]],
    );
}

#[test]
fn t05_a_quarantined_record_is_replaced() {
    let script = "capture; pick; found ok; unopened; capture";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            unopened: T38 QUARANTINED due +259200
                note Quarantined { reason: "unknown key" }, QUARANTINED 1
            capture: T05 READY due +259200
                queued 2, note Queued, SUPERSEDED 1, purge 1, ack queued
        "#]],
    );
}

#[test]
fn t06_what_comes_in_flight_waits_behind_it() {
    let script = "capture; pick; capture; capture; found ok";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            capture: T06 FINDING due +60: queued 2, note Queued, ack queued
            capture: T06 FINDING due +60
                queued 3, note Queued, SUPERSEDED 2, purge 2, ack queued
            found ok: T09 READY due +259200: SUPERSEDED 1, purge 1
        "#]],
    );
}

#[test]
fn o32_two_domain_controllers_tell_one_change() {
    let script = "capture dc1; at 20; capture dc2; pick; found ok; set ok";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture dc1: T01 READY due +259200: queued 1, note Queued, ack queued
            capture dc2: T05 READY due +259220
                note Tied, queued 2, note Queued, SUPERSEDED 1, purge 1, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 2 unless delivered
            set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 2, purge 2
        "#]],
    );
}

#[test]
fn tied_captures_are_set_unless_they_were_delivered() {
    let script = "capture dc1; pick; found ok; set ok; capture dc2; pick; found ok; set ok";
    check(
        balanced(),
        script,
        &expect![[r#"
        capture dc1: T01 READY due +259200: queued 1, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        found ok: T08 SETTING due +60: set 1
        set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 1, purge 1
        capture dc2: T01 READY due +259200: note Tied, queued 2, note Queued, ack queued
        pick: T07 FINDING due +60: find taro
        found ok: T08 SETTING due +60: set 2 unless delivered
        set ok: T15 EMPTY: note Delivered, echo token, DELIVERED 2, purge 2
    "#]],
    );
}

#[test]
fn a_tied_capture_is_set_in_any_case_after_an_uncertain_one() {
    let script = "capture dc1; pick; found ok; set lost; capture dc2; pick; found ok";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture dc1: T01 READY due +259200: queued 1, note Queued, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 1
            set lost: T21 WAIT_UNAVAILABLE due +4: note Unreachable, close, echo token
            capture dc2: T05 READY due +259200
                note Tied, queued 2, note Queued, SUPERSEDED 1, purge 1, ack queued
            pick: T07 FINDING due +60: find taro
            found ok: T08 SETTING due +60: set 2
        "#]],
    );
}

#[test]
fn clocks_further_apart_than_the_window_decide() {
    let script = "capture dc1; at -301; capture dc2; at 301; capture dc3";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture dc1: T01 READY due +259200: queued 1, note Queued, ack queued
            capture dc2: T02 READY due +259200: stale 2, note StaleOrDuplicate, ack stale
            capture dc3: T05 READY due +259501
                queued 3, note Queued, SUPERSEDED 1, purge 1, ack queued
        "#]],
    );
}

#[test]
fn a_capture_that_is_too_old_is_told_so() {
    let script = "capture; at -3600; capture dc1; at -3599; capture";
    check(
        evented(),
        script,
        &expect![[r#"
        capture: T01 READY due +3600: queued 1, note Queued, ack queued
        capture dc1: - EMPTY: SUPERSEDED 1, purge 1, EXPIRED 2, note Expired, ack expired
        capture: T01 READY due +1: queued 3, note Queued, ack queued
    "#]],
    );
}

#[test]
fn the_system_of_origin_forgets_what_waited_for_it() {
    let script = "capture branch; origin dc1; pick; at -400; capture branch";
    check(
        balanced(),
        script,
        &expect![[r#"
            capture branch: T01 READY due +259200: queued 1, note Queued, ack queued
            origin dc1: - EMPTY: SUPERSEDED 1, purge 1, ack filtered
            pick: - EMPTY
            capture branch: T02 EMPTY: stale 3, note StaleOrDuplicate, ack stale
        "#]],
    );
}

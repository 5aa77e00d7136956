//! Case files get new answers, and nothing else changes.

use crate::authoring::testing::Desk;

use super::*;

fn check(before: &str, after: &str) {
    let desk = Desk::new("[{file: cases.yml}]", before);
    let blessing = bless(&[desk.report()]).expect("the file can be written");
    assert_eq!(blessing.left, [], "{before}");
    assert_eq!(desk.cases(), after);
    assert_eq!(desk.differences(), "", "{after}");
}

#[test]
fn g14_only_the_answer_of_a_failed_case_is_rewritten() {
    check(
        "# Ours.\n- {name: one, in: {dn: CN=A}, out: {displayName: CN=A}} # fine\n\
         - {name: two, in: {dn: 'CN=B, it''s'}, out: {displayName: \"x}\"}} # was wrong\n\n\
         - name: three # 日本\n  out:\n    # the name\n    displayName: old\n\n  # the object\n  \
         in: {dn: [CN=C, CN=D]}\n",
        "# Ours.\n- {name: one, in: {dn: CN=A}, out: {displayName: CN=A}} # fine\n\
         - {name: two, in: {dn: 'CN=B, it''s'}, out: {displayName: \"CN=B, it's\"}} # was wrong\n\n\
         - name: three # 日本\n  out:\n    displayName: [\"CN=C\", \"CN=D\"]\n\n  # the object\n  \
         in: {dn: [CN=C, CN=D]}\n",
    );
}

#[test]
fn g14_another_verdict_and_other_forms_are_rewritten_in_their_own_way() {
    check(
        "- in: {dn: CN=A}\r\n  skip: computer account\r\n- {in: {dn: 5}, fail: {message: no}}\r\n",
        "- in: {dn: CN=A}\r\n  out: {displayName: \"CN=A\"}\r\n\
         - {in: {dn: 5}, out: {displayName: 5}}\r\n",
    );
    check(
        "[\n  {\"in\": {\"dn\": \"CN=A\"}, \"out\": {\"displayName\": null}},\n  \
         {\"in\": {\"dn\": {\"binary\": \"AQI=\"}}, \"out\": {}}\n]\n",
        "[\n  {\"in\": {\"dn\": \"CN=A\"}, \"out\": {\"displayName\": \"CN=A\"}},\n  \
         {\"in\": {\"dn\": {\"binary\": \"AQI=\"}}, \
         \"out\": {\"displayName\": {\"binary\": \"AQI=\"}}}\n]\n",
    );
}

#[test]
fn g14_the_manifest_is_never_rewritten() {
    let desk = Desk::new("[{in: {dn: CN=A}, out: {displayName: CN=B}}]", "");
    let before = std::fs::read_to_string(desk.path("rule.yml")).unwrap();
    let blessing = bless(&[desk.report()]).unwrap();
    assert_eq!(blessing.files.len(), 0);
    let (name, why) = &blessing.left[0];
    assert_eq!(name, "names: case 1");
    assert!(why.ends_with("nothing is rewritten: out: {displayName: \"CN=A\"}"), "{why}");
    assert_eq!(std::fs::read_to_string(desk.path("rule.yml")).unwrap(), before);
}

#[test]
fn what_is_written_in_an_unknown_way_is_left_and_said() {
    let text = "- in: {dn: CN=A}\n  out: &o {displayName: x}\n- {in: {dn: CN=B}, out: *o}\n";
    let desk = Desk::new("[{file: cases.yml}]", text);
    let blessing = bless(&[desk.report()]).unwrap();
    assert_eq!((blessing.files.len(), blessing.left.len()), (0, 2));
    let why = "it cannot be edited in place; it answers out: {displayName: \"CN=A\"}";
    assert_eq!(blessing.left[0].1, why);
    assert_eq!(desk.cases(), text);
}

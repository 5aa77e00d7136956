//! The table of password.md 9, cell by cell, and words of real servers.

use super::*;

fn rules() -> Rules {
    Rules::new(&[]).unwrap()
}

fn word(answer: &Answer) -> String {
    match answer {
        Answer::Ok => "ok".into(),
        Answer::Rejected(category) => format!("rejected {}", category.as_str()),
        Answer::NotFound => "not found".into(),
        Answer::Ambiguous => "ambiguous".into(),
        Answer::Refused => "refused".into(),
        Answer::Unavailable { server_error: true, .. } => "server error".into(),
        Answer::Unavailable { .. } => "unavailable".into(),
        Answer::Uncertain => "uncertain".into(),
    }
}

fn by_status(phase: Phase, status: u16, detail: &str) -> String {
    word(&http(phase, HttpAnswer { status, detail, ..HttpAnswer::default() }, &rules()))
}

fn by_code(phase: Phase, code: u32, diagnostic: &str) -> String {
    word(&ldap(phase, LdapAnswer { code, diagnostic, policy: None }, &rules()))
}

/// Every cell of the column SCIM/HTTP.
#[test]
fn o15_o26_every_status_of_the_table_has_its_class() {
    for (status, find, set) in [
        (200, "ok", "ok"),
        (202, "ok", "ok"),
        (204, "ok", "ok"),
        (301, "refused", "refused"),
        (307, "refused", "refused"),
        (400, "rejected other", "rejected other"),
        (401, "refused", "refused"),
        (402, "refused", "refused"),
        (403, "refused", "refused"),
        (404, "refused", "not found"),
        (405, "refused", "refused"),
        (407, "refused", "refused"),
        (408, "unavailable", "unavailable"),
        (409, "rejected other", "rejected other"),
        (410, "refused", "not found"),
        (412, "unavailable", "unavailable"),
        (413, "rejected other", "rejected other"),
        (415, "rejected other", "rejected other"),
        (418, "rejected other", "rejected other"),
        (422, "rejected other", "rejected other"),
        (423, "rejected other", "rejected other"),
        (425, "unavailable", "unavailable"),
        (429, "unavailable", "unavailable"),
        (500, "server error", "server error"),
        (501, "refused", "refused"),
        (502, "server error", "server error"),
        (503, "server error", "server error"),
        (504, "server error", "uncertain"),
        (507, "server error", "server error"),
        (100, "server error", "server error"),
        (999, "server error", "server error"),
    ] {
        assert_eq!(by_status(Phase::Find, status, ""), find, "find {status}");
        assert_eq!(by_status(Phase::Set, status, ""), set, "set {status}");
    }
}

/// Every cell of the column LDAP.
#[test]
fn o15_o26_every_result_code_of_the_table_has_its_class() {
    for (code, text, find, set) in [
        (0, "", "ok", "ok"),
        (1, "", "server error", "server error"),
        (1, "000004DC: LdapErr: DSID-0C090A5C", "refused", "refused"),
        (2, "unsupported extended operation", "refused", "refused"),
        (3, "", "unavailable", "unavailable"),
        (4, "", "refused", "rejected other"),
        (8, "", "refused", "refused"),
        (10, "", "refused", "refused"),
        (13, "", "refused", "refused"),
        (17, "userPassword: attribute type undefined", "refused", "refused"),
        (19, "", "rejected other", "rejected other"),
        (19, "0000052D: Constraint violation", "rejected complexity", "rejected complexity"),
        (21, "", "rejected other", "rejected other"),
        (32, "", "refused", "not found"),
        (34, "", "rejected other", "rejected other"),
        (49, "", "refused", "refused"),
        (50, "", "refused", "refused"),
        (51, "", "unavailable", "unavailable"),
        (52, "", "unavailable", "unavailable"),
        (53, "", "refused", "rejected other"),
        (53, "0000052D: SvcErr: DSID-031A12D2", "rejected complexity", "rejected complexity"),
        (53, "0000001F: SvcErr: DSID-031A126C", "refused", "refused"),
        (53, "operation restricted", "refused", "refused"),
        (65, "", "refused", "rejected other"),
        (80, "", "server error", "server error"),
        (81, "", "unavailable", "unavailable"),
        (85, "", "unavailable", "unavailable"),
        (91, "", "unavailable", "unavailable"),
        (4711, "", "refused", "rejected other"),
    ] {
        assert_eq!(by_code(Phase::Find, code, text), find, "find {code} {text}");
        assert_eq!(by_code(Phase::Set, code, text), set, "set {code} {text}");
    }
}

#[test]
fn the_control_of_the_password_policy_says_what_the_words_leave_open() {
    for (error, text, expected) in [
        (5, "Password fails quality checking policy", "rejected complexity"),
        (6, "Password fails quality checking policy", "rejected too_short"),
        (8, "", "rejected history"),
        (2, "", "rejected other"),
        (6, "Password is in history of old passwords", "rejected history"),
    ] {
        let answer = LdapAnswer { code: 19, diagnostic: text, policy: policy_error(error) };
        assert_eq!(word(&ldap(Phase::Set, answer, &rules())), expected, "{error} {text}");
    }
    let gone = LdapAnswer { code: 32, diagnostic: "", policy: policy_error(6) };
    assert_eq!(word(&ldap(Phase::Set, gone, &rules())), "not found");
}

#[test]
fn l12_policy_refusals_are_found_under_whatever_status() {
    for (status, detail, expected) in [
        (400, "20035 - The password does not match the policy", "rejected complexity"),
        (400, "20035 - Password must have at least 6 characters", "rejected too_short"),
        (400, "22001 - The password violates the rules", "rejected history"),
        (500, "22001 - Not accepted", "rejected history"),
        (500, "20035 - Not accepted", "rejected complexity"),
        (500, "Error in adding the user. 30003 - Credential is not valid.", "rejected other"),
        (500, "Error while updating attributes of user: foo", "server error"),
        (500, "request 1200351 failed", "server error"),
        (503, "20035", "server error"),
    ] {
        assert_eq!(by_status(Phase::Set, status, detail), expected, "{status} {detail}");
    }
}

#[test]
fn l07_a_higher_account_is_no_fault_of_the_credential() {
    for (detail, expected) in [
        ("Insufficient privilege over user", "rejected other"),
        ("insufficient privileges for this user", "rejected other"),
        ("The user has higher privileges", "rejected other"),
        ("この対象のユーザーを変更する権限がありません", "rejected other"),
        ("password does not comply with the policy", "rejected complexity"),
        ("パスワードがポリシーに違反しています", "rejected complexity"),
        ("insufficient privilege", "refused"),
        ("Forbidden", "refused"),
        ("insufficient scope", "refused"),
        ("<html>403</html>", "refused"),
    ] {
        assert_eq!(by_status(Phase::Set, 403, detail), expected, "{detail}");
    }
}

/// Words of servers, or close to them, and what they mean.
const WORDS: &[(&str, &[&str])] = &[
    (
        "too_short",
        &[
            "Password is too short",
            "the password is too short. It should be equal to or longer than 7 characters!",
            "Password must have at least 6 characters",
            "invalid password syntax - password must be at least 8 characters long",
            "Password length should be within 5 to 30 characters",
            "パスワードは8文字以上で入力してください",
            "パスワードが短すぎます",
            "文字数が不足しています",
        ],
    ),
    (
        "history",
        &[
            "Password is in history of old passwords",
            "This password has been used in recent history. Choose a different one",
            "the password was already used (in history)!",
            "You cannot use any of your last 5 passwords",
            "過去に使用したパスワードは使えません",
            "以前と同じパスワードは設定できません",
            "パスワード履歴に含まれています",
        ],
    ),
    (
        "complexity",
        &[
            "the password does not meet the complexity criteria!",
            "Password fails quality checking policy",
            "Password must contain at least one uppercase letter and one digit",
            "Password requirements were not met",
            "パスワードには大文字と数字を含めてください",
            "パスワードが複雑さの要件を満たしていません",
            "英字と記号を組み合わせる必要があります",
        ],
    ),
    (
        "charset",
        &[
            "Password contains invalid characters",
            "Only ASCII characters may be used: these are not allowed",
            "使用できない文字が含まれています",
            "全角文字は使用できません",
        ],
    ),
    (
        "blocklisted",
        &[
            "This password is too common, choose another password",
            "Password contains your user name",
            "password found in dictionary",
            "This password appeared in a breach",
            "辞書に載っている単語です",
            "推測されやすいパスワードです",
        ],
    ),
    ("too_short", &["At least 8 characters, with a digit, and not in the password history"]),
    ("other", &["Password is too young to change", "no", ""]),
];

#[test]
fn the_reason_of_a_rejection_is_read_in_two_languages() {
    let rules = rules();
    for (category, details) in WORDS {
        for detail in *details {
            assert_eq!(rules.category(detail).as_str(), *category, "{detail}");
        }
    }
}

fn rule(status: Option<u16>, code: Option<u32>, detail: Option<&str>) -> RuleText {
    RuleText {
        status,
        code,
        scim_type: None,
        detail_regex: detail.map(str::to_owned),
        result: RuleResult::Rejected,
        category: None,
    }
}

#[test]
fn l12_an_administrators_rule_comes_first() {
    let own = [
        RuleText {
            category: Some(Category::Blocklisted),
            ..rule(Some(500), None, Some("e-1[0-9]"))
        },
        RuleText { result: RuleResult::Refused, ..rule(None, None, Some("licen[cs]e")) },
        RuleText { result: RuleResult::NotFound, ..rule(Some(400), None, Some("no such user")) },
        RuleText { result: RuleResult::Ok, ..rule(Some(409), None, Some("is set already")) },
        RuleText { result: RuleResult::Unavailable, ..rule(None, Some(19), Some("later")) },
        RuleText {
            scim_type: Some("sensitive".into()),
            result: RuleResult::Refused,
            ..rule(None, None, None)
        },
    ];
    let rules = Rules::new(&own).unwrap();
    let said = |status, scim_type, detail| {
        let pause = Some(Duration::from_secs(7));
        let answer = HttpAnswer { status, scim_type, detail, retry_after: pause };
        word(&http(Phase::Set, answer, &rules))
    };
    assert_eq!(said(500, None, "E-17: 22001"), "rejected blocklisted");
    assert_eq!(said(500, None, "e-27: 22001"), "rejected history");
    assert_eq!(said(400, None, "the License ended"), "refused");
    assert_eq!(said(400, None, "No such user"), "not found");
    assert_eq!(said(409, None, "it is set already"), "ok");
    assert_eq!(said(400, Some("sensitive"), ""), "refused");
    assert_eq!(said(400, Some("invalidValue"), ""), "rejected other");
    assert_eq!(said(200, Some("sensitive"), "no such user"), "ok");
    let by_code = |code, diagnostic| {
        word(&ldap(Phase::Set, LdapAnswer { code, diagnostic, policy: None }, &rules))
    };
    assert_eq!(by_code(19, "try later"), "unavailable");
    assert_eq!(by_code(21, "try later"), "rejected other");
    assert_eq!(by_code(19, "license"), "refused");
    assert_eq!(by_code(0, "license"), "ok");
}

#[test]
fn the_pause_that_a_server_asks_for_is_handed_on() {
    let pause = Some(Duration::from_secs(7));
    for (status, server_error) in [(429, false), (503, true)] {
        let answer = HttpAnswer { status, retry_after: pause, ..HttpAnswer::default() };
        let expected = Answer::Unavailable { retry_after: pause, server_error };
        assert_eq!(http(Phase::Set, answer, &rules()), expected);
    }
}

#[test]
fn rules_that_cannot_be_meant_are_refused_with_a_way_out() {
    let refused = |rule: RuleText| Rules::new(&[rule]).unwrap_err().to_string();
    for (rule, expected) in [
        (rule(None, None, None), "rule 0: it matches every answer: say a status, a code or a text"),
        (
            rule(Some(400), Some(19), None),
            "rule 0: it asks for an HTTP and an LDAP answer at once: split it",
        ),
        (
            rule(Some(200), None, None),
            "rule 0: `status` is one of 300 to 599: success is not a rule's to decide",
        ),
        (rule(None, Some(0), None), "rule 0: `code` 0 is success, which is not a rule's to decide"),
    ] {
        assert_eq!(refused(rule), expected);
    }
    for pattern in ["(", "a{1000}{1000}", &"x".repeat(PATTERN_BYTES_MAX + 1)] {
        assert!(refused(rule(None, None, Some(pattern))).starts_with("rule 0: `detail_regex` "));
    }
    let many = vec![rule(Some(400), None, None); RULES_MAX + 1];
    assert!(matches!(Rules::new(&many), Err(RulesError::TooMany { found: 201 })));
}

#[test]
fn long_words_are_looked_at_from_their_beginning_only() {
    let long = format!("{}too short", "あ".repeat(DETAIL_BYTES_MAX));
    assert_eq!(rules().category(&long), Category::Other);
    assert_eq!(rules().category(&format!("too short{long}")), Category::TooShort);
}

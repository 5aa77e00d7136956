//! What is known of servers' words: patterns for the reasons of a rejection in English and
//! Japanese, and the few texts that decide what an answer means.

use kakehi_engine::password::Category;

use super::{RuleResult, RuleText};

/// Reasons in order, each with the alternatives of its pattern: the first that is found names the
/// category.
///
/// Some servers list everything that a password must be, whatever they mind. Such a text must not
/// pass for one about the history: after a lost answer that means that the password is set already
/// (T22). Hence what a list also names comes before it.
pub const CATEGORIES: &[(&[&str], Category)] = &[
    // Length.
    (
        &[
            r"too short",
            r"(at least|minimum( length)?( of| is)?|longer than) \d+ (char|letter|symbol|byte)",
            r"\d+ (char|letter|symbol|byte)\w* or (more|longer)",
            r"at least \d+ in length|minimum (password )?length",
            r"length (should|must) be|shorter than|not long enough|too few characters",
            r"(should|must) be within \d+ (to|and) \d+ char",
        ],
        Category::TooShort,
    ),
    (
        &[
            r"短(い|か|すぎ)|\d+ ?(文字|桁|字)以上|最(小|低|短)(文字|桁|の長さ|長|限の長さ)",
            r"文字数(が|は).{0,8}(不足|足り|少な)|長さが(足り|不足)",
        ],
        Category::TooShort,
    ),
    // Words that everybody knows, or that tell who it is.
    (
        &[
            r"black-?list|block-?list|deny-?list|ban(ned|ned-) ?(password|word)",
            r"dictionary|(too )?common(ly)?( used)?\b.{0,20}(password|word)|breach",
            r"compromised|pwned|(easily|easy to) guess",
            r"contains? (the |your )?(user ?name|login|e-?mail|account name|part of)",
            r"contains? (the |your )?(first|last) name",
        ],
        Category::Blocklisted,
    ),
    (
        &[
            r"辞書|禁止(された|ワード|語)|(漏洩|漏えい|流出)|推測(され|し)やす|よく使われ|一般的すぎ|ユーザー? ?(名|ID).{0,8}含",
            r"氏名.{0,8}含|ブラックリスト|ブロックリスト",
        ],
        Category::Blocklisted,
    ),
    // Kinds of characters that are wanted come before characters that are not allowed: both speak
    // of special characters.
    (
        &[
            r"(at least|minimum of|missing|lacks?|requires?)\b.{0,60}(upper|lower|digit|capital)",
            r"(at least|minimum of|missing|lacks?|requires?)\b.{0,60}(num|special|symbol|letter)",
            r"(must|should|does not) (contain|include|have).{0,60}(upper|lower|digit|capital)",
            r"(must|should|does not) (contain|include|have).{0,60}(num|special|symbol|letter)",
            r"(at least|minimum of|must|should).{0,60}(categor|classes|character type|non-?alpha)",
        ],
        Category::Complexity,
    ),
    (
        &[
            r"(大文字|小文字|数字|英字|記号|特殊文字|文字種|種類).{0,24}(含め|含む必要|必要|必須)",
            r"(大文字|小文字|数字|英字|記号|特殊文字|文字種|種類).{0,24}(含んでい|含まれてい)(ない|ません)",
            r"(大文字|小文字|数字|英字|記号|特殊文字|文字種|種類).{0,24}組み合わせ",
        ],
        Category::Complexity,
    ),
    (
        &[
            r"(invalid|illegal|forbidden|unsupported|disallowed).{0,24}character",
            r"(not allowed|non-?ascii|un(printable|acceptable)).{0,24}character",
            r"characters?.{0,40}(not (allowed|supported|permitted|valid)|invalid|forbidden)",
            r"characters?.{0,40}(illegal|unsupported)",
            r"character ?set|whitespace|only (ascii|alphanumeric|letters)",
        ],
        Category::Charset,
    ),
    (
        &[
            r"(使用|利用|入力)でき(ない|ません)?.{0,4}文字",
            r"(文字|記号|全角|空白|スペース).{0,16}(使用|利用|入力|指定)(でき|は?できない|不可)",
            r"半角(英数字?|文字)?(のみ|で入力)|不正な文字|無効な文字|使えない文字",
        ],
        Category::Charset,
    ),
    // Passwords that were used before.
    (
        &[
            r"(in|from|of) (the |your )?(recent |password )?history",
            r"history of (old|previous)|password history",
        ],
        Category::History,
    ),
    (
        &[
            r"(recently|previously|already|been) used|re-?used?\b",
            r"same as (the |your |one of )?(current|old|previous|last)",
            r"from existing value|last \d+ passwords",
        ],
        Category::History,
    ),
    (
        &[
            r"履歴|以前(に|の)?.{0,12}(使用|パスワード|同じ)|過去(に|の)?.{0,12}(使用|パスワード|同じ)|(使用|利用)済み",
            r"現在のパスワードと(同じ|同一)|再利用|使い回し",
        ],
        Category::History,
    ),
    // WSO2 Identity Server (product-is 8299, 11107, 21421).
    (&[r"\b22001\b"], Category::History),
    // What says no more than that there is a policy.
    (
        &[
            r"complex|too (weak|simple)|strength|quality",
            r"(does not|did not|doesn.t|not) (meet|met|satisfy|match|conform|comply|fulfil)",
            r"(policy|pattern|requirement)s?.{0,24}(violat|not met|not satisf|mismatch)",
            r"(violat\w*|fails?|failed).{0,32}polic|polic.{0,8}(violat|fail)",
            r"invalid password syntax|check_password_restrictions",
        ],
        Category::Complexity,
    ),
    (
        &[
            r"複雑(さ|性)|強度|(要件|条件|ポリシー|規則|ルール).{0,12}(満た|違反|従って|合って|合致|適合)|脆弱|簡単すぎ|単純すぎ",
        ],
        Category::Complexity,
    ),
    // AD does not say which of its restrictions; WSO2 says more behind the number, if it does.
    (&[r"\b0000052D\b"], Category::Complexity),
    (&[r"\b20035\b"], Category::Complexity),
];

/// Texts that decide, whatever the table says of the status.
pub fn rules() -> Vec<RuleText> {
    let http = |status, detail: &[&str], result| RuleText {
        status: Some(status),
        code: None,
        scim_type: None,
        detail_regex: Some(detail.join("|")),
        result,
        category: None,
    };
    let ldap = |code, detail: &[&str], result| RuleText {
        status: None,
        code: Some(code),
        ..http(0, detail, result)
    };
    use RuleResult::{Refused, Rejected};
    vec![
        // An administrator may not set the password of a higher one: about this user, not about
        // our credential (L-07).
        http(
            403,
            &[
                r"insufficient (privilege|permission|right)s? (over|on|to|for) .{0,12}user",
                r"insufficient (privilege|permission|right)s? (over|on|to|for) .{0,12}account",
                r"insufficient (privilege|permission|right)s? (over|on|to|for) .{0,12}object",
                r"higher privilege|(user|account) (has|with) (a )?higher",
                r"not authorized to (change|update|reset|modify) (this|that|the) (user|account)",
                r"(この|対象(の)?)(ユーザー?|アカウント).{0,24}権限",
            ],
            Rejected,
        ),
        http(
            403,
            &[
                r"password.{0,40}(polic|history|requirement|complex|too short|strength)",
                r"polic.{0,24}password|パスワード.{0,24}(ポリシー|要件|履歴|複雑|強度|短)",
            ],
            Rejected,
        ),
        // Policy refusals that come as the server's own failure (L-12).
        http(500, &[r"\b(20035|22001)\b"], Rejected),
        http(500, &[r"\b30003\b.{0,40}credential is not valid"], Rejected),
        http(
            500,
            &[r"password (pattern|length|history).{0,40}(violat|not match|mismatch|within)"],
            Rejected,
        ),
        // AD gives 53 for its policy and for a connection in clear alike.
        ldap(53, &[r"\b0000052D\b"], Rejected),
        ldap(53, &[r"\b0000001F\b"], Refused),
        // A server that takes no changes at all says nothing of this user.
        ldap(53, &[r"operation restricted|read-?only|shadow context|no global superior"], Refused),
        // AD on a connection that is not bound.
        ldap(1, &[r"\b000004DC\b"], Refused),
    ]
}

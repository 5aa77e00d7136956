//! What the log says (password.md 11): a note of the state machine flows in, its code, its level
//! and one sentence in each of two languages flow out. Neither has anything secret in it.
//!
//! PW030 to PW034 are said in exactly these words: others search for them.

use std::fmt;

use kakehi_engine::password::{Note, NoteKind};

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// `PW001` to `PW050`.
    pub code: &'static str,
    pub level: Level,
    pub en: String,
    pub ja: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For those who ask for details: an outage that was told of already (O-27).
    Debug,
    Info,
    Warn,
    Error,
}

/// The words of a note of the state machine.
pub fn words(note: &Note) -> Words {
    let user = note.login.as_deref().or(note.slot.as_ref().map(|slot| &*slot.user.0));
    let target = note.target.as_ref().map(|target| target.as_str());
    let said = said(&note.kind, user.unwrap_or("-"), target.unwrap_or("-"));
    Words { level: if note.repeated { Level::Debug } else { said.level }, ..said }
}

fn said(kind: &NoteKind, user: &str, target: &str) -> Words {
    match kind {
        NoteKind::Delivered
        | NoteKind::DeliveredPresumed
        | NoteKind::Queued
        | NoteKind::StaleOrDuplicate
        | NoteKind::Tied
        | NoteKind::Echo
        | NoteKind::Filtered
        | NoteKind::LoopCut
        | NoteKind::ClockAhead => course(kind, user, target),
        _ => failure(kind, user, target),
    }
}

/// What happens as it should, or nearly so.
fn course(kind: &NoteKind, user: &str, target: &str) -> Words {
    match kind {
        NoteKind::Delivered => info(
            "PW010",
            format!("password of {user} delivered to {target}"),
            "パスワードを同期しました".into(),
        ),
        NoteKind::DeliveredPresumed => warn(
            "PW011",
            format!("password of {user} delivered to {target} (presumed after timeout)"),
            "同期済みとみなしました".into(),
        ),
        NoteKind::Queued => info(
            "PW020",
            format!("password of {user} queued for {target}"),
            format!("{user} のパスワードを {target} への同期待ちに登録しました"),
        ),
        NoteKind::StaleOrDuplicate => info(
            "PW021",
            format!("capture for {user} is stale or a duplicate, {target} keeps the newer one"),
            format!("{user} の変更は古いか重複しているため、{target} へは同期しません"),
        ),
        NoteKind::Tied => warn(
            "PW022",
            format!("captures for {user} are too close to tell by clock, arrival order used"),
            format!("{user} の変更の時刻が近すぎるため、到着順に処理しました"),
        ),
        NoteKind::Echo => info(
            "PW023",
            format!("capture for {user} is our own delivery coming back, not sent to {target}"),
            format!("{user} の変更は自らの同期によるものなので、{target} へは同期しません"),
        ),
        NoteKind::Filtered => info(
            "PW024",
            format!("capture for {user} is filtered, not sent to {target}"),
            format!("{user} は {target} への同期の対象外です"),
        ),
        NoteKind::LoopCut => warn(
            "PW025",
            format!("password of {user} goes round in a loop, deliveries to {target} paused"),
            format!("{user} のパスワードが循環しているため、{target} への同期を一時停止しました"),
        ),
        _ => warn(
            "PW027",
            format!("clock of the capturing agent is ahead, time of the capture for {user} cut"),
            format!("取得元の時計が進んでいるため、{user} の変更の時刻を補正しました"),
        ),
    }
}

/// What keeps a password from its target.
fn failure(kind: &NoteKind, user: &str, target: &str) -> Words {
    match kind {
        NoteKind::NotFound => warn(
            "PW030",
            format!("Unable to update {user}, the user does not exist in {target}"),
            format!("{target} に {user} が存在しません"),
        ),
        NoteKind::Unreachable => warn(
            "PW031",
            format!(
                "Unable to update {user}. The {target} service is unreachable. Please verify the \
                 availability of the service or the configuration parameters."
            ),
            format!("{target} に接続できません"),
        ),
        NoteKind::Rejected(category) => warn(
            "PW032",
            format!(
                "Unable to update {user}. The {target} server rejected the setPasswordRequest \
                 ({}).",
                category.as_str()
            ),
            format!("{target} がパスワードを拒否しました"),
        ),
        NoteKind::LookupRejected => warn(
            "PW033",
            format!("{target} rejected the look-up of {user}"),
            format!("{target} が {user} の検索を拒否しました"),
        ),
        NoteKind::GaveUp { retries } => error(
            "PW034",
            format!("Unable to update {user}. Gave up after {retries} retries, record removed"),
            "最大再試行回数に達したため破棄しました".into(),
        ),
        NoteKind::Poison => warn(
            "PW035",
            format!("{target} fails for {user} only, treated as a rejection"),
            format!("{target} が {user} についてのみ失敗を繰り返すため、拒否として扱います"),
        ),
        NoteKind::Refused => error(
            "PW036",
            format!(
                "{target} refuses our credential, certificate check or configuration, deliveries \
                 held"
            ),
            format!("{target} の認証、TLS または設定に問題があるため、同期を保留しています"),
        ),
        NoteKind::Expired => warn(
            "PW040",
            format!("cached password of {user} for {target} expired, removed"),
            "保存期限が切れたため破棄しました".into(),
        ),
        NoteKind::InitialPassword => warn(
            "PW042",
            format!("no cached password of {user} for {target}, initial password policy used"),
            format!("{user} のパスワードがないため、{target} では初期パスワードを設定します"),
        ),
        NoteKind::Quarantined { reason } => error(
            "PW050",
            format!("record of {user} for {target} cannot be opened, quarantined: {reason}"),
            format!("{user} の記録を復号できないため、{target} への同期から隔離しました"),
        ),
        other => course(other, user, target),
    }
}

/// PW001: what the queue held when the process started.
pub fn started(read: u64, expired: u64, quarantined: u64, queued: u64) -> Words {
    info(
        "PW001",
        format!(
            "password queue opened: {read} read, {expired} expired, {quarantined} quarantined, \
             {queued} queued"
        ),
        format!(
            "パスワードキューを開きました: 読込 {read}、期限切れ {expired}、隔離 {quarantined}、\
             待機 {queued}"
        ),
    )
}

/// PW026: a capture whose password is not text; the agent has to convert it without loss.
pub fn bad_encoding(user: &str) -> Words {
    warn(
        "PW026",
        format!("capture for {user} has a bad encoding, refused"),
        format!("{user} の変更は文字コードが不正なため、受け付けませんでした"),
    )
}

/// PW041: so many passwords take longer than they are kept; `minutes` would do.
pub fn backlog(count: u64, minutes: u64) -> Words {
    warn(
        "PW041",
        format!("backlog {count} x 1 s exceeds expiry; raise to >= {minutes} min"),
        format!("滞留 {count} 件の処理が保存期限を超えます。{minutes} 分以上に延長してください"),
    )
}

/// PW043: somebody reads the queue, so that what was purged is still in its log file.
pub fn purge_blocked() -> Words {
    warn(
        "PW043",
        "purge blocked: something reads an older state of the password queue".into(),
        "パスワードキューが読み取り中のため、完全な消去を待っています".into(),
    )
}

/// PW044.
pub fn nearly_full(percent: u64) -> Words {
    warn(
        "PW044",
        format!("password queue is nearly full: {percent} %"),
        format!("パスワードキューの空きが少なくなっています: {percent} %"),
    )
}

/// PW002: captures are taken there.
pub fn listening(place: &str) -> Words {
    info(
        "PW002",
        format!("captures are taken at {place}"),
        format!("{place} で変更を受け付けています"),
    )
}

/// PW045: numbers of an agent were never seen: operations that its directory refused, captures
/// that are still on their way, or lost ones (M3).
pub fn gap(agent: &str, count: u64) -> Words {
    info(
        "PW045",
        format!("{count} numbers of agent {agent} were not seen yet"),
        format!("エージェント {agent} の番号 {count} 件がまだ届いていません"),
    )
}

/// PW046: a row that cannot be read (L-02).
pub fn set_aside(row: &str) -> Words {
    error(
        "PW046",
        format!("a row of the password queue cannot be read and was set aside: {row}"),
        format!("読み取れないレコードを別に保存しました: {row}"),
    )
}

/// PW047: nothing ends the waiting of passwords for users that never come (N-11).
pub fn never_expires() -> Words {
    warn(
        "PW047",
        "passwords never expire: those of users that a target never gets are kept for ever".into(),
        "パスワードの保存期限がないため、対象に作成されない利用者のパスワードは残り続けます".into(),
    )
}

fn info(code: &'static str, en: String, ja: String) -> Words {
    Words { code, level: Level::Info, en, ja }
}

fn warn(code: &'static str, en: String, ja: String) -> Words {
    Words { code, level: Level::Warn, en, ja }
}

fn error(code: &'static str, en: String, ja: String) -> Words {
    Words { code, level: Level::Error, en, ja }
}

// === impl Level ===

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        })
    }
}

#[cfg(test)]
mod tests {
    use kakehi_engine::password::Category;

    use super::*;

    fn note(kind: NoteKind) -> Words {
        let (target, login) = (Some("Cloud".into()), Some("taro".into()));
        words(&Note { kind, slot: None, target, login, repeated: false })
    }

    #[test]
    fn o13_o16_o24_o27_the_texts_of_the_page() {
        for (kind, code, en, ja) in [
            (
                NoteKind::NotFound,
                "PW030 WARN",
                "Unable to update taro, the user does not exist in Cloud",
                "Cloud に taro が存在しません",
            ),
            (
                NoteKind::Unreachable,
                "PW031 WARN",
                "Unable to update taro. The Cloud service is unreachable. Please verify the \
                 availability of the service or the configuration parameters.",
                "Cloud に接続できません",
            ),
            (
                NoteKind::Rejected(Category::TooShort),
                "PW032 WARN",
                "Unable to update taro. The Cloud server rejected the setPasswordRequest \
                 (too_short).",
                "Cloud がパスワードを拒否しました",
            ),
            (
                NoteKind::LookupRejected,
                "PW033 WARN",
                "Cloud rejected the look-up of taro",
                "Cloud が taro の検索を拒否しました",
            ),
            (
                NoteKind::GaveUp { retries: 3 },
                "PW034 ERROR",
                "Unable to update taro. Gave up after 3 retries, record removed",
                "最大再試行回数に達したため破棄しました",
            ),
        ] {
            let words = note(kind);
            let said = (format!("{} {}", words.code, words.level), &*words.en, &*words.ja);
            assert_eq!(said, (code.to_owned(), en, ja));
        }
    }

    #[test]
    fn o27_an_outage_that_was_told_of_is_a_detail() {
        let (target, login) = (Some("Cloud".into()), Some("taro".into()));
        let kind = NoteKind::Unreachable;
        let again = words(&Note { kind, slot: None, target, login, repeated: true });
        assert_eq!((again.code, again.level), ("PW031", Level::Debug));
    }

    #[test]
    fn every_code_is_said_once_and_in_two_languages() {
        let kinds = [
            NoteKind::Delivered,
            NoteKind::DeliveredPresumed,
            NoteKind::Queued,
            NoteKind::StaleOrDuplicate,
            NoteKind::Tied,
            NoteKind::Echo,
            NoteKind::Filtered,
            NoteKind::LoopCut,
            NoteKind::ClockAhead,
            NoteKind::NotFound,
            NoteKind::Unreachable,
            NoteKind::Rejected(Category::Other),
            NoteKind::LookupRejected,
            NoteKind::GaveUp { retries: 1 },
            NoteKind::Poison,
            NoteKind::Refused,
            NoteKind::Expired,
            NoteKind::InitialPassword,
            NoteKind::Quarantined { reason: "unknown key".into() },
        ];
        let mut all: Vec<Words> = kinds.into_iter().map(note).collect();
        all.extend([
            started(4, 1, 0, 3),
            bad_encoding("taro"),
            backlog(18_000, 300),
            purge_blocked(),
            nearly_full(80),
        ]);
        let mut codes: Vec<&str> = all.iter().map(|words| words.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all.len(), "a code is said twice: {codes:?}");
        for words in all {
            assert!(words.en.is_ascii() && !words.ja.is_ascii(), "{words:?}");
        }
    }
}

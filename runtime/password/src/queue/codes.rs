//! Words of the state machine as the numbers in the tables. A number never changes its meaning.

use kakehi_engine::password::{AuditKind, Category, EchoToken, Flight, MailKind, Operation, State};
use kakehi_engine::time::Timestamp;
use rusqlite::Row;

use super::error::{QueueError, Result};

/// A word that is stored as a number.
pub(super) trait Code: Copy {
    fn code(self) -> i64;
    fn of(code: i64) -> Option<Self>;
}

macro_rules! codes {
    ($type:ident { $($variant:ident = $code:literal),+ $(,)? }) => {
        impl Code for $type {
            fn code(self) -> i64 {
                match self { $(Self::$variant => $code),+ }
            }
            fn of(code: i64) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }
        #[cfg(test)]
        impl All for $type {
            const ALL: &'static [Self] = &[$(Self::$variant),+];
        }
    };
}

/// Every value of a word, for tests.
#[cfg(test)]
pub(super) trait All: Sized + 'static {
    const ALL: &'static [Self];
}

codes!(State {
    Empty = 0, Ready = 1, Finding = 2, Setting = 3, WaitUser = 4, WaitRejected = 5,
    WaitUnavailable = 6, Quarantined = 7,
});
codes!(Operation { Change = 1, Reset = 2, Create = 3, Initial = 4 });
codes!(Flight { Expired = 1, UserDeleted = 2, Purged = 3, Superseded = 4 });
codes!(Category {
    TooShort = 1, Complexity = 2, History = 3, Charset = 4, Blocklisted = 5, Other = 6,
});
codes!(MailKind { Rejected = 1, Expired = 2, MaxRetries = 3, DefaultUsed = 4, TargetDown = 5 });
codes!(AuditKind {
    Queued = 1, Duplicate = 2, Stale = 3, Echo = 4, Filtered = 5, Delivered = 6,
    DeliveredPresumed = 7, Superseded = 8, Expired = 9, MaxRetries = 10, DroppedNotFound = 11,
    Quarantined = 12, PurgedUserDeleted = 13, PurgedOperator = 14, InitialPassword = 15,
    LoopCut = 16,
});

/// The word in a column.
pub(super) fn word<T: Code>(row: &Row<'_>, column: &str) -> Result<T> {
    let code = integer(row, column)?;
    T::of(code).ok_or_else(|| QueueError::row(format!("column `{column}` holds {code}")))
}

pub(super) fn maybe_word<T: Code>(row: &Row<'_>, column: &str) -> Result<Option<T>> {
    match maybe_integer(row, column)? {
        None => Ok(None),
        Some(_) => word(row, column).map(Some),
    }
}

pub(super) fn integer(row: &Row<'_>, column: &str) -> Result<i64> {
    row.get(column).map_err(|error| unreadable(column, &error))
}

pub(super) fn maybe_integer(row: &Row<'_>, column: &str) -> Result<Option<i64>> {
    row.get(column).map_err(|error| unreadable(column, &error))
}

/// A number that is never negative; agents' numbers use the sign's bit as any other.
pub(super) fn number(row: &Row<'_>, column: &str) -> Result<u64> {
    integer(row, column).map(i64::cast_unsigned)
}

pub(super) fn small(row: &Row<'_>, column: &str) -> Result<u32> {
    let value = integer(row, column)?;
    value.try_into().map_err(|_| QueueError::row(format!("column `{column}` holds {value}")))
}

pub(super) fn truth(row: &Row<'_>, column: &str) -> Result<bool> {
    match integer(row, column)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(QueueError::row(format!("column `{column}` holds {other}"))),
    }
}

pub(super) fn instant(row: &Row<'_>, column: &str) -> Result<Timestamp> {
    integer(row, column).map(Timestamp)
}

pub(super) fn maybe_instant(row: &Row<'_>, column: &str) -> Result<Option<Timestamp>> {
    Ok(maybe_integer(row, column)?.map(Timestamp))
}

pub(super) fn text(row: &Row<'_>, column: &str) -> Result<String> {
    row.get(column).map_err(|error| unreadable(column, &error))
}

pub(super) fn token(row: &Row<'_>, column: &str) -> Result<EchoToken> {
    row.get(column).map(EchoToken).map_err(|error| unreadable(column, &error))
}

/// SQLite's words would name the value's type only; the column helps to find the row.
fn unreadable(column: &str, error: &rusqlite::Error) -> QueueError {
    QueueError::row(format!("column `{column}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: All + Code + PartialEq + std::fmt::Debug>() {
        for value in T::ALL {
            assert_eq!(T::of(value.code()), Some(*value));
        }
        let codes: std::collections::BTreeSet<i64> = T::ALL.iter().map(|v| v.code()).collect();
        assert_eq!(codes.len(), T::ALL.len(), "two words have one number");
        assert_eq!(T::of(i64::MAX), None);
    }

    #[test]
    fn every_word_has_a_number_of_its_own_and_comes_back() {
        check::<State>();
        check::<Operation>();
        check::<Flight>();
        check::<Category>();
        check::<MailKind>();
        check::<AuditKind>();
    }
}

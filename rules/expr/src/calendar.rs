//! Instants in UTC and their calendar: what dates inside expressions are made of.
//!
//! An [`Instant`] counts the ticks of a Windows FILETIME, so `DateFromNum` and `NumFromDate` are
//! exact. 1601, where they begin, is also the first year of a 400-year cycle of leap years.

use std::fmt;

/// 100 ns ticks since 1601-01-01 00:00 UTC; negative before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i64);

/// A point in time on the calendar, UTC, proleptic Gregorian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    /// 100 ns ticks below a second.
    pub ticks: i64,
}

pub(crate) const TICKS_PER_SECOND: i64 = 10_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// 1601-01-01 to 1970-01-01.
const UNIX_EPOCH_SECONDS: i64 = 11_644_473_600;

const DAYS_PER_YEAR: i64 = 365;
const DAYS_PER_4_YEARS: i64 = 4 * DAYS_PER_YEAR + 1;
const DAYS_PER_CENTURY: i64 = 25 * DAYS_PER_4_YEARS - 1;
const DAYS_PER_4_CENTURIES: i64 = 4 * DAYS_PER_CENTURY + 1;

/// Days of a month, 28 to 31; `None` for a month that does not exist.
pub(crate) fn days_of_month(year: i64, month: u8) -> Option<u8> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 if leap => Some(29),
        2 => Some(28),
        _ => None,
    }
}

// === impl Instant ===

impl Instant {
    pub fn from_ticks(ticks: i64) -> Self {
        Self(ticks)
    }

    pub fn ticks(self) -> i64 {
        self.0
    }

    /// `None` beyond the years that ticks can count, -27627 to 30828.
    pub fn from_unix(seconds: i64) -> Option<Self> {
        seconds.checked_add(UNIX_EPOCH_SECONDS)?.checked_mul(TICKS_PER_SECOND).map(Self)
    }

    /// Reads what `CDate` reads, RFC 3339 among it.
    pub fn parse(text: &str) -> Option<Self> {
        crate::builtin::parse_date(text)
    }

    /// Unix seconds; a part of a second is cut off towards the past.
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(TICKS_PER_SECOND) - UNIX_EPOCH_SECONDS
    }

    pub(crate) fn add_seconds(self, seconds: i64) -> Option<Self> {
        seconds.checked_mul(TICKS_PER_SECOND)?.checked_add(self.0).map(Self)
    }

    pub(crate) fn civil(self) -> Civil {
        let seconds = self.0.div_euclid(TICKS_PER_SECOND);
        let (days, second) = (seconds.div_euclid(SECONDS_PER_DAY), seconds % SECONDS_PER_DAY);
        let second = second.rem_euclid(SECONDS_PER_DAY);
        let (year, day_of_year) = year_of(days);
        let (month, day) = month_of(year, day_of_year);
        Civil {
            year,
            month,
            day,
            hour: (second / 3600) as u8,
            minute: (second / 60 % 60) as u8,
            second: (second % 60) as u8,
            ticks: self.0.rem_euclid(TICKS_PER_SECOND),
        }
    }
}

impl fmt::Display for Instant {
    /// ISO 8601, UTC, whole seconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Civil { year, month, day, hour, minute, second, .. } = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

// === impl Civil ===

impl Civil {
    /// `None` where the calendar has no such point or ticks cannot count it.
    pub fn instant(self) -> Option<Instant> {
        let exists = (1..=days_of_month(self.year, self.month)?).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60;
        if !exists {
            return None;
        }
        let years = self.year.checked_sub(1601)?;
        let mut days = years.checked_mul(DAYS_PER_YEAR)? + years.div_euclid(4)
            - years.div_euclid(100)
            + years.div_euclid(400);
        for month in 1..self.month {
            days += i64::from(days_of_month(self.year, month)?);
        }
        days += i64::from(self.day) - 1;
        let time =
            i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let seconds = days.checked_mul(SECONDS_PER_DAY)?.checked_add(time)?;
        seconds.checked_mul(TICKS_PER_SECOND)?.checked_add(self.ticks).map(Instant)
    }
}

/// Days since 1601-01-01 to the year and the day in it, from 0.
fn year_of(days: i64) -> (i64, i64) {
    let (cycles, rest) =
        (days.div_euclid(DAYS_PER_4_CENTURIES), days.rem_euclid(DAYS_PER_4_CENTURIES));
    // The last century of a cycle and the last year of four have one day more than the others.
    let centuries = (rest / DAYS_PER_CENTURY).min(3);
    let rest = rest - centuries * DAYS_PER_CENTURY;
    let (fours, rest) = (rest / DAYS_PER_4_YEARS, rest % DAYS_PER_4_YEARS);
    let years = (rest / DAYS_PER_YEAR).min(3);
    let year = 1601 + cycles * 400 + centuries * 100 + fours * 4 + years;
    (year, rest - years * DAYS_PER_YEAR)
}

/// Day of the year from 0 to month and day from 1.
fn month_of(year: i64, day_of_year: i64) -> (u8, u8) {
    let mut rest = day_of_year;
    for month in 1..12 {
        let days = i64::from(days_of_month(year, month).unwrap_or(31));
        if rest < days {
            return (month, rest as u8 + 1);
        }
        rest -= days;
    }
    (12, rest as u8 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_calendar_agree_both_ways() {
        for (ticks, text) in [
            (0, "1601-01-01T00:00:00Z"),
            (129_699_324_000_000_000, "2012-01-01T23:00:00Z"),
            (116_444_736_000_000_000, "1970-01-01T00:00:00Z"),
            (125_963_423_990_000_000, "2000-02-29T23:59:59Z"),
            (-TICKS_PER_SECOND, "1600-12-31T23:59:59Z"),
            (i64::MAX, "30828-09-14T02:48:05Z"),
        ] {
            let instant = Instant::from_ticks(ticks);
            assert_eq!(instant.to_string(), text);
            assert_eq!(instant.civil().instant(), Some(instant), "{text}");
        }
    }

    #[test]
    fn every_day_of_a_cycle_returns_to_itself() {
        for day in -DAYS_PER_4_CENTURIES..DAYS_PER_4_CENTURIES {
            let instant = Instant::from_ticks(day * SECONDS_PER_DAY * TICKS_PER_SECOND);
            assert_eq!(instant.civil().instant(), Some(instant), "day {day}");
        }
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        let day =
            |year, month, day| Civil { year, month, day, hour: 0, minute: 0, second: 0, ticks: 0 };
        for missing in [day(2023, 2, 29), day(1900, 2, 29), day(2024, 13, 1), day(2024, 4, 31)] {
            assert_eq!(missing.instant(), None, "{missing:?}");
        }
        assert!(day(2000, 2, 29).instant().is_some());
    }

    #[test]
    fn unix_time_starts_in_1970() {
        assert_eq!(
            Instant::from_unix(0).map(|i| i.to_string()),
            Some("1970-01-01T00:00:00Z".into())
        );
        assert_eq!(Instant::from_unix(i64::MAX), None);
        for seconds in [0, -1, 1_769_817_600] {
            assert_eq!(Instant::from_unix(seconds).map(Instant::unix_seconds), Some(seconds));
        }
        let text = "2026-01-31T00:00:00Z";
        assert_eq!(Instant::parse(text).map(|instant| instant.to_string()), Some(text.into()));
    }
}

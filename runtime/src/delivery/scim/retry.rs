//! Pauses: a `Retry-After` header flows in, how long a target is left alone flows out
//! (RFC 9110 section 10.2.3; delivery.md 9).

use std::sync::Mutex;
use std::time::Duration;

use kakehi_engine::time::Timestamp;

/// Longest pause a server may ask for: a wrong date must not stop a target for days.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Until when nothing is sent to a target.
#[derive(Debug, Default)]
pub struct Pause(Mutex<Option<Timestamp>>);

// === impl Pause ===

impl Pause {
    /// Leaves the target alone for so long; a longer pause that is under way stays.
    pub fn extend(&self, now: Timestamp, length: Duration) {
        let until = Timestamp(now.0.saturating_add(length.as_millis() as i64));
        let mut held = self.lock();
        *held = Some(held.map_or(until, |held| held.max(until)));
    }

    /// How much of the pause is left; `None` if there is none.
    pub fn left(&self, now: Timestamp) -> Option<Duration> {
        let mut held = self.lock();
        let left = held.map_or(0, |until| until.0 - now.0);
        if left > 0 {
            return Some(Duration::from_millis(left.unsigned_abs()));
        }
        *held = None;
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Timestamp>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Reads a `Retry-After` header: seconds, or an HTTP date in its preferred form (RFC 9110 section
/// 5.6.7). `None` for anything else; at most [`RETRY_AFTER_MAX`].
pub fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    let seconds = match header.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => (http_date(header)? - now.unix_seconds()).max(0).unsigned_abs(),
    };
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// Seconds since 1970 of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let parts: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, time, "GMT"] = parts[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let (day, year): (i64, i64) = (day.parse().ok()?, year.parse().ok()?);
    let clock: Vec<i64> = time.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [hour, minute, second] = clock[..] else { return None };
    let fits = (1..=31).contains(&day)
        && (1970..=9999).contains(&year)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    fits.then(|| day_number(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since 1970-01-01 in the Gregorian calendar, for years from 1970 on.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March: a leap day then ends its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(784_111_777);

    #[test]
    fn w18_seconds_and_dates_are_both_read() {
        for (header, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            ("999999", Some(3600)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 00:00:00 GMT", Some(3600)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("soon", None),
            ("-1", None),
            ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ] {
            let found = retry_after(header, NOW);
            assert_eq!(found, expected.map(Duration::from_secs), "{header}");
        }
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(NOW.unix_seconds()));
    }

    #[test]
    fn a_pause_ends_by_itself_and_is_never_shortened() {
        let pause = Pause::default();
        assert_eq!(pause.left(NOW), None);
        pause.extend(NOW, Duration::from_secs(10));
        pause.extend(NOW, Duration::from_secs(5));
        assert_eq!(pause.left(NOW), Some(Duration::from_secs(10)));
        assert_eq!(pause.left(Timestamp(NOW.0 + 9_999)), Some(Duration::from_millis(1)));
        assert_eq!(pause.left(Timestamp(NOW.0 + 10_000)), None);
    }
}

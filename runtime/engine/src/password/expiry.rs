//! The expiry time as administrators write it (N-08 to N-11, password.md 5.2).

use std::time::Duration;

/// Minutes where nothing usable was written (N-08).
const MINUTES_DEFAULT: u64 = 60;
/// Digits of the longest number that is taken.
const DIGITS_MAX: usize = 9;
/// So many polls must fit (N-09).
const POLLS: u64 = 3;

/// How long a password is kept; `None`: it never expires.
///
/// Takes: what was written, if anything, and the poll interval in seconds, if anything is polled.
/// Exactly `-1` means never; up to nine digits are minutes; anything else is 60 minutes. It is at
/// least three poll intervals, the default included (D-07).
pub fn expiry(written: Option<&str>, poll_seconds: Option<u64>) -> Option<Duration> {
    let text = written.unwrap_or_default().trim();
    if text == "-1" {
        return None;
    }
    let digits = text.len() <= DIGITS_MAX && text.bytes().all(|byte| byte.is_ascii_digit());
    let minutes = text.parse().ok().filter(|_| digits).unwrap_or(MINUTES_DEFAULT);
    let least = poll_seconds.unwrap_or(0).saturating_mul(POLLS);
    Some(Duration::from_secs((minutes * 60).max(least)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n06_n08_n09_n10_n11_n17_the_vectors_of_the_page() {
        for (written, poll, seconds) in [
            (None, 60, Some(3600)),
            (Some(""), 60, Some(3600)),
            (Some("abc"), 60, Some(3600)),
            (Some("6O"), 60, Some(3600)),
            (Some("-5"), 60, Some(3600)),
            (Some("10"), 60, Some(600)),
            (Some("2"), 60, Some(180)),
            (Some("0"), 60, Some(180)),
            (Some("-1"), 60, None),
            (Some("60"), 1800, Some(5400)),
            (None, 1800, Some(5400)),
            (Some("300"), 60, Some(18_000)),
            (Some(" 300 "), 60, Some(18_000)),
            (Some("+5"), 60, Some(3600)),
            (Some("1234567890"), 60, Some(3600)),
            (Some("６０"), 60, Some(3600)),
        ] {
            let got = expiry(written, Some(poll)).map(|kept| kept.as_secs());
            assert_eq!(got, seconds, "{written:?} every {poll} s");
        }
        assert_eq!(expiry(Some("0"), None), Some(Duration::ZERO), "nothing is polled");
    }
}

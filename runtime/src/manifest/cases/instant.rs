//! Instants as people write them in test cases: RFC 3339 in UTC flows in, a timestamp flows out.

use kakehi_engine::time::Timestamp;

/// Takes `2026-04-01T00:00:00Z`. Gives `None` for any other form, and for days that do not exist.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days(year, month, day);
    let instant = Timestamp::from_unix_seconds(days * 86_400 + hour * 3600 + minute * 60 + second);
    // What is written otherwise names a day that its month does not have.
    (instant.rfc3339() == text).then_some(instant)
}

/// Three numbers of so many digits.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(between);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        let plain = part.len() == digits && part.bytes().all(|digit| digit.is_ascii_digit());
        *number = plain.then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days since 1970-01-01, in the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Counted from 0000-03-01, so that a leap day ends its year and every 400 years are alike.
    let year = if month <= 2 { year - 1 } else { year };
    let month = if month <= 2 { month + 9 } else { month - 3 };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_they_are_written() {
        for seconds in [0, 951_782_400, 1_775_001_599, 1_775_001_600, -1, 253_402_300_799] {
            let instant = Timestamp::from_unix_seconds(seconds);
            assert_eq!(parse(&instant.rfc3339()), Some(instant), "{}", instant.rfc3339());
        }
    }

    #[test]
    fn what_is_no_instant_in_utc_is_not_taken_for_one() {
        for text in [
            "2026-04-01",
            "2026-04-01T00:00:00",
            "2026-04-01T00:00:00+09:00",
            "2026-04-31T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-04-01T24:00:00Z",
            "2026-4-1T00:00:00Z",
            "2026-04-01T00:00:00.5Z",
            "2026-04-01T00:00:00Z ",
            "+026-04-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

//! Dates: reading, writing, adding. All are UTC.

use super::Arguments;
use crate::calendar::{Civil, Instant, days_of_month};
use crate::error::Fault;
use crate::value::Val;

type Answer = Result<Option<Val>, Fault>;

/// Reads `2013-01-10 4:00 PM -8`, `12/25/2007` (month first) and ISO 8601. Without a zone the text
/// is UTC.
pub(super) fn c_date(arguments: &Arguments<'_>) -> Answer {
    let Some(text) = arguments.text(0)? else { return Ok(None) };
    parse(&text)
        .map(|instant| Some(Val::Instant(instant)))
        .ok_or_else(|| Val::from(&*text).is_not("a date: write `2026-01-31 16:30` or `1/31/2026`"))
}

/// A text that [`c_date`] takes, or a date.
pub(super) fn is_date(arguments: &Arguments<'_>) -> Answer {
    Ok(Some(Val::Boolean(match arguments.value(0) {
        Some(Val::Text(text)) => parse(text).is_some(),
        value => matches!(value, Some(Val::Instant(_))),
    })))
}

/// Takes a unit, a number of it and a date. The 31st plus a month is the month's last day.
pub(super) fn date_add(arguments: &Arguments<'_>) -> Answer {
    let unit = arguments.text_or_empty(0)?;
    let (Some(count), Some(instant)) = (arguments.number(1)?, arguments.instant(2)?) else {
        return Ok(None);
    };
    let seconds =
        |each: i64| count.checked_mul(each).and_then(|seconds| instant.add_seconds(seconds));
    let months = |each: i64| count.checked_mul(each).and_then(|count| add_months(instant, count));
    let sum = match &*unit {
        "yyyy" => months(12),
        "q" => months(3),
        "m" => months(1),
        "y" | "d" | "w" => seconds(86_400),
        "ww" => seconds(7 * 86_400),
        "h" => seconds(3600),
        "n" => seconds(60),
        "s" => seconds(1),
        _ => return Err(arguments.out_of_range(0, "one of yyyy q m y d w ww h n s")),
    };
    sum.map(|instant| Some(Val::Instant(instant))).ok_or(Fault::Overflow("DateAdd"))
}

/// The number is a FILETIME. 0 and the largest number, which mean "never" in a directory, are
/// dates like any other.
pub(super) fn date_from_num(arguments: &Arguments<'_>) -> Answer {
    Ok(arguments.number(0)?.map(|ticks| Val::Instant(Instant::from_ticks(ticks))))
}

pub(super) fn num_from_date(arguments: &Arguments<'_>) -> Answer {
    Ok(arguments.instant(0)?.map(|instant| Val::Number(instant.ticks())))
}

/// .NET's `yyyy yy MM dd HH hh mm ss tt`; anything else stands for itself.
pub(super) fn format_date_time(arguments: &Arguments<'_>) -> Answer {
    let Some(instant) = arguments.instant(0)? else { return Ok(None) };
    let format = arguments.text_or_empty(1)?;
    let at = instant.civil();
    let hour12 = (at.hour + 11) % 12 + 1;
    let fields = [
        ("yyyy", format!("{:04}", at.year)),
        ("yy", format!("{:02}", at.year.rem_euclid(100))),
        ("MM", format!("{:02}", at.month)),
        ("dd", format!("{:02}", at.day)),
        ("HH", format!("{:02}", at.hour)),
        ("hh", format!("{hour12:02}")),
        ("mm", format!("{:02}", at.minute)),
        ("ss", format!("{:02}", at.second)),
        ("tt", if at.hour < 12 { "AM" } else { "PM" }.to_owned()),
    ];
    let mut text = String::with_capacity(format.len());
    let mut rest = &*format;
    while let Some(next) = rest.chars().next() {
        match fields.iter().find(|(field, _)| rest.starts_with(field)) {
            Some((field, value)) => {
                text.push_str(value);
                rest = &rest[field.len()..];
            }
            None => {
                text.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
    }
    Ok(Some(Val::Text(text)))
}

fn add_months(instant: Instant, count: i64) -> Option<Instant> {
    let at = instant.civil();
    let months = at.year.checked_mul(12)?.checked_add(i64::from(at.month) - 1)?;
    let months = months.checked_add(count)?;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u8 + 1);
    let day = at.day.min(days_of_month(year, month)?);
    Civil { year, month, day, ..at }.instant()
}

pub(crate) fn parse(text: &str) -> Option<Instant> {
    let mut scan = Scan { rest: text.trim() };
    let (year, month, day) = scan.date()?;
    let mut civil = Civil { year, month, day, hour: 0, minute: 0, second: 0, ticks: 0 };
    let mut offset = 0;
    if scan.take("T") || scan.blanks() {
        (civil.hour, civil.minute, civil.second, civil.ticks) = scan.time()?;
        scan.blanks();
        offset = scan.zone()?;
    }
    if !scan.rest.is_empty() {
        return None;
    }
    civil.instant()?.add_seconds(-offset)
}

/// What is left of a text to read; each step takes something off its front.
struct Scan<'t> {
    rest: &'t str,
}

// === impl Scan ===

impl Scan<'_> {
    /// `yyyy-MM-dd` or `MM/dd/yyyy`; the digits of a year are four.
    fn date(&mut self) -> Option<(i64, u8, u8)> {
        let first = self.digits(4)?;
        let (year, month, day);
        if self.take("-") {
            (year, month) = (first, self.digits(2)?);
            self.take("-").then_some(())?;
            day = self.digits(2)?;
        } else {
            self.take("/").then_some(())?;
            (month, day) = (first, self.digits(2)?);
            self.take("/").then_some(())?;
            year = self.digits(4)?;
        }
        let full = year >= 1000;
        full.then_some((year, u8::try_from(month).ok()?, u8::try_from(day).ok()?))
    }

    /// Hour, minute, second and ticks; the seconds may be left out, AM or PM may follow.
    fn time(&mut self) -> Option<(u8, u8, u8, i64)> {
        let mut hour = self.digits(2)?;
        self.take(":").then_some(())?;
        let minute = self.digits(2)?;
        let (mut second, mut ticks) = (0, 0);
        if self.take(":") {
            second = self.digits(2)?;
            if self.take(".") {
                ticks = self.fraction()?;
            }
        }
        let before = self.rest;
        self.blanks();
        let (morning, afternoon) = (self.take("AM"), self.take("PM"));
        if morning || afternoon {
            (1..=12).contains(&hour).then_some(())?;
            hour = hour % 12 + if afternoon { 12 } else { 0 };
        } else {
            self.rest = before;
        }
        let small = |number: i64| u8::try_from(number).ok();
        Some((small(hour)?, small(minute)?, small(second)?, ticks))
    }

    /// Seconds east of UTC, up to a day: `Z`, `-8`, `+09:00`, `+0530` or nothing.
    fn zone(&mut self) -> Option<i64> {
        if self.rest.is_empty() || self.take("Z") {
            return Some(0);
        }
        let sign = if self.take("-") { -1 } else { self.take("+").then_some(1)? };
        let hours = self.digits(2)?;
        let minutes = if self.take(":") || !self.rest.is_empty() { self.digits(2)? } else { 0 };
        (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
    }

    /// Up to seven digits after the point, as ticks.
    fn fraction(&mut self) -> Option<i64> {
        let before = self.rest.len();
        let number = self.digits(7)?;
        let digits = u32::try_from(before - self.rest.len()).ok()?;
        Some(number * 10_i64.pow(7 - digits))
    }

    /// A number of one to `most` digits.
    fn digits(&mut self, most: usize) -> Option<i64> {
        let length = self.rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let number = self.rest[..length].parse().ok()?;
        self.rest = &self.rest[length..];
        Some(number)
    }

    /// Whether the text goes on with this, in any case; then it is taken.
    fn take(&mut self, expected: &str) -> bool {
        match self.rest.get(..expected.len()) {
            Some(start) if start.eq_ignore_ascii_case(expected) => {
                self.rest = &self.rest[expected.len()..];
                true
            }
            _ => false,
        }
    }

    fn blanks(&mut self) -> bool {
        let trimmed = self.rest.trim_start();
        let some = trimmed.len() < self.rest.len();
        self.rest = trimmed;
        some
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn dates_are_read_in_the_documented_forms() {
        for (text, expected) in [
            ("2013-01-10 4:00 PM -8", "2013-01-11T00:00:00Z"),
            ("2013-01-10 12:05 AM", "2013-01-10T00:05:00Z"),
            ("12/25/2007", "2007-12-25T00:00:00Z"),
            ("1/2/2007 13:14:15", "2007-01-02T13:14:15Z"),
            ("2012-01-01 23:00:00", "2012-01-01T23:00:00Z"),
            ("2012-01-01T23:00:00Z", "2012-01-01T23:00:00Z"),
            ("2012-01-01T23:00:00.1234567+09:00", "2012-01-01T14:00:00Z"),
            ("2012-01-01T05:30:00+0530", "2012-01-01T00:00:00Z"),
        ] {
            check(&format!("CDate(\"{text}\")"), "", expected);
            check(&format!("IsDate(\"{text}\")"), "", "True");
        }
        for text in [
            "",
            "today",
            "2012-13-01",
            "2012-02-30",
            "12-1-1",
            "2012-01-01 25:00",
            "2012-01-01 13:00 PM",
            "2012-01-01 1:00 x",
        ] {
            check(&format!("IsDate(\"{text}\")"), "", "False");
        }
        check("CDate([x])", "", "NULL");
        check(
            "CDate(\"soon\")",
            "",
            "error: `soon` is not a date: write `2026-01-31 16:30` or `1/31/2026` at 1:1",
        );
    }

    #[test]
    fn filetime_and_back() {
        check("DateFromNum(129699324000000000)", "", "2012-01-01T23:00:00Z");
        check("NumFromDate(CDate(\"2012-01-01 23:00:00\"))", "", "129699324000000000");
        check("DateFromNum(0)", "", "1601-01-01T00:00:00Z");
        check("DateFromNum(9223372036854775807)", "", "30828-09-14T02:48:05Z");
        check("DateFromNum([x])", "", "NULL");
        check("NumFromDate([x])", "", "NULL");
    }

    #[test]
    fn r33_dates_are_written_by_a_pattern() {
        let written = "IIF(IsPresent([pwdLastSet]),CStr(FormatDateTime(\
                       DateFromNum([pwdLastSet]),\"yyyyMMddHHmmss.0Z\")),NULL)";
        check(written, "", "NULL");
        check(written, "pwdLastSet=129699324000000000", "'20120101230000.0Z'");
        check(written, "pwdLastSet='130543797300000000'", "'20140905083530.0Z'");
        check(written, "pwdLastSet=0", "'16010101000000.0Z'");
        check("FormatDateTime(CDate(\"12/25/2007\"),\"yyyy-MM-dd\")", "", "'2007-12-25'");
        check(
            "FormatDateTime(CDate(\"2007-01-02 15:04\"),\"yy/MM hh:mm tt\")",
            "",
            "'07/01 03:04 PM'",
        );
        check("FormatDateTime(CDate(\"2007-01-02 0:04\"),\"hh tt\")", "", "'12 AM'");
        check("FormatDateTime([x],\"yyyy\")", "", "NULL");
        check(
            "FormatDateTime(\"2007-01-02\",\"yyyy\")",
            "",
            "error: `2007-01-02` is not a date: use `CDate` or `DateFromNum` at 1:1",
        );
    }

    #[test]
    fn adding_clamps_to_the_end_of_a_month() {
        for (unit, count, from, expected) in [
            ("m", 1, "2024-01-31", "2024-02-29T00:00:00Z"),
            ("m", -2, "2023-04-30", "2023-02-28T00:00:00Z"),
            ("yyyy", 1, "2024-02-29", "2025-02-28T00:00:00Z"),
            ("q", 1, "2023-11-30", "2024-02-29T00:00:00Z"),
            ("d", 1, "2023-12-31", "2024-01-01T00:00:00Z"),
            ("y", 1, "2023-12-31", "2024-01-01T00:00:00Z"),
            ("w", 1, "2023-12-31", "2024-01-01T00:00:00Z"),
            ("ww", 1, "2023-12-31", "2024-01-07T00:00:00Z"),
            ("h", -1, "2024-01-01", "2023-12-31T23:00:00Z"),
            ("n", 90, "2024-01-01", "2024-01-01T01:30:00Z"),
            ("s", 1, "2024-01-01", "2024-01-01T00:00:01Z"),
        ] {
            check(&format!("DateAdd(\"{unit}\", {count}, CDate(\"{from}\"))"), "", expected);
        }
        check("DateAdd(\"m\", 1, NULL)", "", "NULL");
        check(
            "DateAdd(\"month\", 1, Now())",
            "",
            "error: argument 1 is `month`, must be one of yyyy q m y d w ww h n s at 1:1",
        );
        check(
            "DateAdd(\"yyyy\", 99999, Now())",
            "",
            "error: DateAdd: the result does not fit at 1:1",
        );
    }

    #[test]
    fn now_is_the_instant_of_the_run() {
        check("Now()", "", "2026-01-31T00:00:00Z");
        check("Now() > CDate(\"2025-01-01\")", "", "True");
    }
}

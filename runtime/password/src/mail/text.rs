//! Values for mails: whatever a directory holds flows in, one harmless line flows out.

use kakehi_engine::time::Timestamp;

/// One line of at most `chars_max` characters. Runs of blanks and of characters that are not seen
/// (controls, changes of direction, joiners at the edges of lines) become one blank; what is cut
/// off is marked by `…`.
pub fn single_line(text: &str, chars_max: usize) -> String {
    let mut line = String::new();
    // One character beyond tells that there is more; a value is not read further than that.
    let (mut length, mut blank) = (0, false);
    for c in text.chars() {
        if c.is_whitespace() || is_unseen(c) {
            blank = length > 0;
            continue;
        }
        if blank {
            line.push(' ');
            length += 1;
            blank = false;
        }
        if length >= chars_max {
            let end = line.char_indices().nth(chars_max.saturating_sub(1));
            line.truncate(end.map_or(0, |(end, _)| end));
            line.push('…');
            return line;
        }
        line.push(c);
        length += 1;
    }
    line
}

/// Controls, and what changes the direction or the breaks of a line. Joiners stay: emoji and some
/// scripts are written with them.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// An instant as people read it, with its zone: `2026-11-22 17:30 (+09:00)`.
///
/// Takes: minutes east of UTC; more than a day is cut to one.
pub fn instant_with_zone(instant: Timestamp, offset_minutes: i32) -> String {
    const DAY_MINUTES: i32 = 24 * 60;
    let minutes = offset_minutes.clamp(-DAY_MINUTES, DAY_MINUTES);
    let local = Timestamp(instant.0.saturating_add(i64::from(minutes) * 60_000)).rfc3339();
    let (date, time) = local.split_once('T').unwrap_or((&local, ""));
    let clock: String = time.chars().take("17:30".len()).collect();
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
    format!("{date} {clock} ({sign}{hours:02}:{rest:02})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_line_whatever_it_holds() {
        for (text, line) in [
            ("山田 太郎", "山田 太郎"),
            ("  a\r\nBcc: b\r\n\r\n", "a Bcc: b"),
            ("a\u{0}\u{1b}[31mb", "a [31mb"),
            ("a\u{2028}b\u{202e}c\u{feff}", "a b c"),
            ("👩\u{200d}💻", "👩\u{200d}💻"),
            ("\u{3000}全角\u{3000}空白\u{3000}", "全角 空白"),
            ("\r\n\t", ""),
            ("1234567890", "1234567890"),
            ("1234567890 ", "1234567890"),
            ("12345678901", "123456789…"),
            ("123456789 1", "123456789…"),
        ] {
            assert_eq!(single_line(text, 10), line, "{text:?}");
        }
        assert_eq!(single_line("ab", 1), "…");
        assert_eq!(single_line("ab", 0), "…");
        assert!(single_line(&"長い".repeat(10_000), 64).chars().count() <= 64);
    }

    #[test]
    fn instants_are_shown_in_the_zone_that_is_named() {
        let instant = Timestamp::from_unix_seconds(1_795_336_200);
        for (offset, text) in [
            (0, "2026-11-22 08:30 (+00:00)"),
            (9 * 60, "2026-11-22 17:30 (+09:00)"),
            (-(9 * 60 + 30), "2026-11-21 23:00 (-09:30)"),
            (5 * 60 + 45, "2026-11-22 14:15 (+05:45)"),
        ] {
            assert_eq!(instant_with_zone(instant, offset), text);
        }
        for instant in [Timestamp(i64::MAX), Timestamp(i64::MIN)] {
            assert!(instant_with_zone(instant, i32::MIN).ends_with(" (-24:00)"));
        }
    }
}

//! Numbers and lists as the reports write them.

use std::time::Duration;

use kakehi_host::Limits;

/// Widest line of a report.
const LINE_CHARS_MAX: usize = 100;

/// `1,204`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 rule`, `3 rules`.
pub fn counted(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

/// `312 B`, `64 KiB`, `1.1 MiB`.
pub fn size(bytes: usize) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", bytes.div_ceil(1_024)),
        _ => {
            let tenths = bytes.saturating_mul(10).div_ceil(1 << 20);
            match tenths % 10 {
                0 => format!("{} MiB", tenths / 10),
                rest => format!("{}.{rest} MiB", tenths / 10),
            }
        }
    }
}

/// `7.4 us`, `58.1 ms`: three digits are more than such a figure is worth.
pub fn time(time: Duration) -> String {
    let nanoseconds = time.as_nanos() as f64;
    match nanoseconds {
        0.0..1e6 => format!("{:.1} us", nanoseconds / 1e3),
        1e6..1e9 => format!("{:.1} ms", nanoseconds / 1e6),
        _ => format!("{:.1} s", nanoseconds / 1e9),
    }
}

/// `64 MiB memory, 100 ms and 10 us per value, 8 MiB output, no limit on fuel`.
pub fn limits(limits: &Limits) -> String {
    let fuel = match limits.fuel {
        Some(fuel) => format!("{} fuel", count(fuel)),
        None => "no limit on fuel".to_owned(),
    };
    format!(
        "{} memory, {} ms and 10 us per value, {} output, {fuel}",
        size(limits.memory_bytes),
        limits.time.as_millis(),
        size(limits.output_bytes)
    )
}

/// The first 12 digits of a hash: enough to tell modules apart.
pub fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

/// A list with a heading, broken into lines that begin below its first word.
pub fn listed(heading: &str, words: &[String]) -> String {
    let indent = 14;
    let mut text = format!("  {heading:<width$}", width = indent - 2);
    let mut column = indent;
    if words.is_empty() {
        text.push('-');
    }
    for (index, word) in words.iter().enumerate() {
        let comma = if index + 1 < words.len() { "," } else { "" };
        let width = word.chars().count() + comma.len();
        if index > 0 && column + 1 + width > LINE_CHARS_MAX {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            column = indent;
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        text.push_str(comma);
        column += width;
    }
    text
}

/// At most so many characters, the last one a sign that some were left out.
pub fn cut(text: &str, chars_max: usize) -> String {
    match text.chars().count() > chars_max {
        true => text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!(
            [count(0), count(999), count(1_204), count(1_000_000)],
            ["0", "999", "1,204", "1,000,000"]
        );
        assert_eq!(
            [size(312), size(65_536), size(64 << 20), size(1_100_000)],
            ["312 B", "64 KiB", "64 MiB", "1.1 MiB"]
        );
        assert_eq!(time(Duration::from_nanos(7_400)), "7.4 us");
        assert_eq!(time(Duration::from_micros(58_100)), "58.1 ms");
    }

    #[test]
    fn long_lists_are_broken_into_lines_of_100_characters() {
        let words: Vec<String> = (0..20).map(|number| format!("attribute{number}")).collect();
        let text = listed("reads", &words);
        assert!(text.lines().count() > 1 && text.lines().all(|line| line.chars().count() <= 100));
        assert_eq!(text.split_whitespace().count(), 21);
        assert_eq!(listed("reads", &[]), "  reads       -");
    }
}

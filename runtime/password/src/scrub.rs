//! What a server said, without the password it was told: a text and a password flow in, the text
//! flows out with the password gone in every form it may have been echoed in (password.md 7.3).
//!
//! The password is not encoded in all possible ways and searched for, since there are too many ways
//! to write one escape. The text is decoded in every known way instead, each byte keeping the place
//! it came from, and whatever then reads as the password is taken out at that place.

mod decode;
mod layer;

use zeroize::Zeroizing;

use self::layer::Layer;
use crate::secret::Password;

/// Characters of a text that are looked at; what follows is left out.
const TEXT_CHARS_MAX: usize = 8192;

/// Shorter passwords are found in innocent words, and their absence would tell them.
const PASSWORD_CHARS_MIN: usize = 4;

/// Parts of a password of so many characters are taken out too: servers cut what they echo.
const PART_CHARS: usize = 8;

/// Readings of one text. A text with more is made to hide something, and is left out as a whole.
const LAYERS_MAX: usize = 256;

/// What stands for a password, the first one that is not like it.
const REPLACEMENTS: [&str; 4] = ["[password]", "[withheld]", "[***]", ""];

/// Rounds until nothing is found any more: what is left after a cut may form the password anew.
const ROUNDS_MAX: usize = 4;

/// Takes a password out of a text of a server.
/// Takes: any text; a password; how many characters the result may have. Gives: at most so many,
/// with `[password]` where it was, or that alone where it cannot be told apart.
///
/// Found in any mixture of upper and lower case, forwards and backwards, whole or in parts of eight
/// characters and more: as it is; escaped as in JSON, C, LDAP, HTML and XML; percent-encoded; in
/// hexadecimal; in base64 of either alphabet, at any place within a longer text; each of them also
/// of its UTF-16, and each after one or two of the escapes.
/// Source: password.md 7.3, M8, O-16.
pub fn scrub(text: &str, password: &Password, chars_max: usize) -> String {
    let needles = Needles::of(password.expose());
    let replacement = needles.replacement();
    let cut = |text: &str| text.chars().take(chars_max).collect::<String>();
    if needles.is_short {
        return cut(replacement);
    }
    let mut kept = Zeroizing::new(text.chars().take(TEXT_CHARS_MAX).collect::<String>());
    // A password that the cut went through is not found, but begins within its longest form.
    let mut unsure = 0;
    if kept.len() < text.len() {
        unsure = password.expose().len().saturating_mul(12).saturating_add(64);
    }
    for _ in 0..ROUNDS_MAX {
        let Some(mut found) = occurrences(&kept, &needles) else { break };
        let sure = found.len().saturating_sub(std::mem::take(&mut unsure));
        found[sure..].fill(true);
        if !found.contains(&true) {
            return cut(&kept);
        }
        kept = replaced(&kept, &found, replacement);
    }
    cut(replacement)
}

/// For each byte of the text whether it belongs to the password. `None`: too many readings.
fn occurrences(text: &str, needles: &Needles) -> Option<Vec<bool>> {
    let mut found = vec![false; text.len()];
    let mut layers = vec![Layer::of(text)];
    unescape(&mut layers, 0, 2)?;
    for at in 0..layers.len() {
        for decoder in decode::BINARY {
            let from = layers.len();
            if let Some(layer) = decoder(&layers[at]) {
                layers.push(layer);
                unescape(&mut layers, from, 1)?;
            }
        }
    }
    for layer in &layers {
        for reading in layer.readings() {
            needles.mark(&reading, &mut found);
        }
    }
    Some(found)
}

/// Adds what the layers from `from` on read as without their escapes, so many times over.
fn unescape(layers: &mut Vec<Layer>, mut from: usize, depth: usize) -> Option<()> {
    for _ in 0..depth {
        let to = layers.len();
        for at in from..to {
            for decoder in decode::ESCAPES {
                let Some(layer) = layers[at].decoded(decoder) else { continue };
                if layers[from..].iter().all(|known| *known != layer) {
                    layers.push(layer);
                }
                if layers.len() > LAYERS_MAX {
                    return None;
                }
            }
        }
        from = to;
    }
    Some(())
}

/// The text with one replacement for each run of marked characters.
fn replaced(text: &str, found: &[bool], replacement: &str) -> Zeroizing<String> {
    let mut kept = Zeroizing::new(String::with_capacity(text.len() + replacement.len()));
    let mut inside = false;
    for (at, character) in text.char_indices() {
        let marked = found[at..at + character.len_utf8()].contains(&true);
        if !marked {
            kept.push(character);
        } else if !inside {
            kept.push_str(replacement);
        }
        inside = marked;
    }
    kept
}

/// Characters without their case, forwards and backwards, and where their parts begin, sorted.
struct Needles {
    texts: [(Zeroizing<Vec<char>>, Vec<usize>); 2],
    part: usize,
    is_short: bool,
}

// === impl Needles ===

impl Needles {
    fn of(password: &str) -> Self {
        let mut forwards = Zeroizing::new(Vec::with_capacity(password.len() * 3));
        forwards.extend(password.chars().flat_map(char::to_lowercase));
        let mut backwards = Zeroizing::new(forwards.to_vec());
        backwards.reverse();
        let part = forwards.len().min(PART_CHARS);
        let with_parts = |text: Zeroizing<Vec<char>>| {
            let mut parts: Vec<usize> = (0..=text.len() - part).collect();
            parts.sort_unstable_by(|a, b| text[*a..*a + part].cmp(&text[*b..*b + part]));
            (text, parts)
        };
        let is_short = password.chars().count() < PASSWORD_CHARS_MIN;
        Self { texts: [with_parts(forwards), with_parts(backwards)], part, is_short }
    }

    /// Marks the bytes of every part that a reading has.
    fn mark(&self, reading: &layer::Reading, found: &mut [bool]) {
        for (at, window) in reading.characters.windows(self.part.max(1)).enumerate() {
            if self.has(window) {
                for (from, to) in &reading.places[at..at + self.part] {
                    found[*from..*to].fill(true);
                }
            }
        }
    }

    fn has(&self, window: &[char]) -> bool {
        self.texts.iter().any(|(text, parts)| {
            parts.binary_search_by(|at| text[*at..*at + self.part].cmp(window)).is_ok()
        })
    }

    fn replacement(&self) -> &'static str {
        let alike = |text: &&str| {
            let text: Vec<char> = text.chars().collect();
            !text.windows(self.part.max(1)).any(|window| self.has(window))
        };
        REPLACEMENTS.into_iter().find(|text| self.is_short || alike(text)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;

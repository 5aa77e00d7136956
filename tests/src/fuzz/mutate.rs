//! Changes to modules that keep them almost valid: sections, the modules inside a component, and
//! the bodies of functions keep their lengths right while what is in them changes.

use std::ops::Range;

use super::random::Random;

const HEADER_BYTES: usize = 8;
const CODE_SECTION: u8 = 10;
const CORE_MODULE_SECTION: u8 = 1;
const COMPONENT_SECTION: u8 = 4;

struct Section {
    id: u8,
    content: Vec<u8>,
}

/// Changes a module or component in a few places; `other` lends it parts.
pub fn mutate(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(2) {
        bytes = if random.once_in(16) {
            raw(bytes, other, random)
        } else {
            structured(&bytes, other, random)
        };
    }
    bytes
}

/// Changes a text in a few places; most changes leave it well-formed.
pub fn mutate_text(text: &str, other: &str, random: &mut Random) -> String {
    let mut text = text.to_owned();
    for _ in 0..=random.below(3) {
        let place = match random.below(10) {
            0..5 => number(&text, random),
            5..9 => expression(&text, random),
            _ => {
                let at = random.below(text.len());
                at..at + 1
            }
        };
        let part = match random.below(6) {
            0 => String::new(),
            1 | 2 => text.get(expression(&text, random)).unwrap_or_default().to_owned(),
            3 => other.get(expression(other, random)).unwrap_or_default().to_owned(),
            4 => text.get(place.clone()).unwrap_or_default().repeat(random.below(5)),
            _ => String::new(),
        };
        let is_number = text.get(place.clone()).is_some_and(|old| !old.contains('('));
        let part = if is_number { (random.odd() as i32).to_string() } else { part };
        if text.get(place.clone()).is_some() {
            text.replace_range(place, &part);
        }
    }
    text
}

/// Where some number of a text stands; nothing at its end if it has none.
fn number(text: &str, random: &mut Random) -> Range<usize> {
    let start = random.below(text.len());
    let rest = &text.as_bytes()[start..];
    let Some(skip) = rest.windows(2).position(|two| two[0] == b' ' && two[1].is_ascii_digit())
    else {
        return text.len()..text.len();
    };
    let at = start + skip + 1;
    let digits = text.as_bytes()[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    at..at + digits
}

/// Where some expression of a text stands, with its brackets; the smaller the likelier.
fn expression(text: &str, random: &mut Random) -> Range<usize> {
    let start = random.below(text.len());
    let Some(open) = text.as_bytes()[start..].iter().position(|byte| *byte == b'(') else {
        return text.len()..text.len();
    };
    let mut depth = 0_usize;
    for (index, byte) in text.bytes().enumerate().skip(start + open) {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 1 => return start + open..index + 1,
            b')' => depth -= 1,
            _ => {}
        }
    }
    start + open..text.len()
}

fn structured(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let (Some(mut sections), Some(others)) = (split(bytes), split(other)) else {
        return raw(bytes.to_vec(), other, random);
    };
    let component = bytes.get(4) == Some(&0x0d);
    let at = random.below(sections.len());
    match random.below(24) {
        0 if !sections.is_empty() => drop(sections.remove(at)),
        1 if !sections.is_empty() => {
            let to = random.below(sections.len());
            sections.swap(at, to);
        }
        2 if !others.is_empty() => {
            let Section { id, content } = random.pick(&others);
            sections.insert(at, Section { id: *id, content: content.clone() });
        }
        3 if !sections.is_empty() => {
            let Section { id, content } = &sections[at];
            let twice = Section { id: *id, content: content.clone() };
            sections.insert(at, twice);
        }
        4 if !sections.is_empty() => sections[at].id = random.byte() % 16,
        _ if !sections.is_empty() => {
            let Section { id, content } = &mut sections[at];
            *content = match *id {
                CORE_MODULE_SECTION | COMPONENT_SECTION if component => {
                    structured(content, content, random)
                }
                CODE_SECTION if !component => code(content, random),
                // Lengths inside are kept, too.
                _ if !content.is_empty() && !random.once_in(4) => {
                    let at = random.below(content.len());
                    content[at] =
                        if random.once_in(2) { random.byte() } else { content[at].wrapping_add(1) };
                    return join(&bytes[..HEADER_BYTES], &sections);
                }
                _ => raw(std::mem::take(content), other, random),
            };
        }
        _ => {}
    }
    join(&bytes[..HEADER_BYTES.min(bytes.len())], &sections)
}

/// Changes one function's body and keeps all lengths right.
fn code(content: &[u8], random: &mut Random) -> Vec<u8> {
    let Some(mut bodies) = bodies(content) else {
        return raw(content.to_vec(), content, random);
    };
    if bodies.is_empty() {
        return content.to_vec();
    }
    let (from, to) = (random.below(bodies.len()), random.below(bodies.len()));
    if random.once_in(6) {
        bodies[to] = bodies[from].clone();
    } else {
        let body = std::mem::take(&mut bodies[to]);
        bodies[to] =
            if random.once_in(3) { raw(body, content, random) } else { instruction(body, random) };
    }
    let mut out = leb(bodies.len());
    for body in bodies {
        out.extend(leb(body.len()));
        out.extend(body);
    }
    out
}

/// Changes an instruction to one that takes and gives the same: another constant, another
/// calculation with two numbers, another comparison.
fn instruction(mut body: Vec<u8>, random: &mut Random) -> Vec<u8> {
    const I32_CONST: u8 = 0x41;
    const COMPARISONS: Range<u8> = 0x46..0x50;
    const CALCULATIONS: Range<u8> = 0x6a..0x79;
    let start = random.below(body.len());
    let wanted =
        |byte: &u8| *byte == I32_CONST || COMPARISONS.contains(byte) || CALCULATIONS.contains(byte);
    let Some(at) = body.iter().skip(start).position(wanted).map(|skip| start + skip) else {
        return body;
    };
    let any = |range: Range<u8>, random: &mut Random| {
        range.start + random.byte() % (range.end - range.start)
    };
    match body[at] {
        I32_CONST => {
            let rest = &body[at + 1..];
            let length = rest.iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
            let end = (at + 1 + length).min(body.len());
            body.splice(at + 1..end, signed_leb(random.odd() as i32));
        }
        byte if COMPARISONS.contains(&byte) => body[at] = any(COMPARISONS, random),
        _ => body[at] = any(CALCULATIONS, random),
    }
    body
}

fn raw(mut bytes: Vec<u8>, other: &[u8], random: &mut Random) -> Vec<u8> {
    let at = random.below(bytes.len());
    match random.below(7) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        1 if !bytes.is_empty() => bytes[at] = random.byte(),
        2 => {
            let byte = random.byte();
            bytes.insert(at, byte);
        }
        3 => drop(bytes.drain(at..(at + 1 + random.below(8)).min(bytes.len()))),
        4 => drop(bytes.splice(at..at, leb(random.odd() as usize))),
        5 => {
            let to = (at + 1).min(bytes.len());
            bytes.splice(at..to, leb(random.odd() as usize));
        }
        _ if !other.is_empty() => {
            let from = random.below(other.len());
            let part = &other[from..(from + 1 + random.below(24)).min(other.len())];
            let to = (at + part.len()).min(bytes.len());
            bytes.splice(at..to, part.iter().copied());
        }
        _ => {}
    }
    bytes
}

fn split(bytes: &[u8]) -> Option<Vec<Section>> {
    let mut rest = bytes.get(HEADER_BYTES..)?;
    let mut sections = vec![];
    while let Some((id, after)) = rest.split_first() {
        let (content, after) = sized(after)?;
        sections.push(Section { id: *id, content: content.to_vec() });
        rest = after;
    }
    Some(sections)
}

fn join(header: &[u8], sections: &[Section]) -> Vec<u8> {
    let mut bytes = header.to_vec();
    for Section { id, content } in sections {
        bytes.push(*id);
        bytes.extend(leb(content.len()));
        bytes.extend(content);
    }
    bytes
}

fn bodies(content: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (count, mut rest) = read_leb(content)?;
    let mut bodies = vec![];
    for _ in 0..count {
        let (body, after) = sized(rest)?;
        bodies.push(body.to_vec());
        rest = after;
    }
    Some(bodies)
}

/// Bytes behind their length, and what follows them.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = read_leb(bytes)?;
    rest.split_at_checked(length)
}

fn read_leb(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = vec![];
    while value > 0x7f {
        bytes.push((value & 0x7f | 0x80) as u8);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn signed_leb(mut value: i32) -> Vec<u8> {
    let mut bytes = vec![];
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 && byte & 0x40 == 0 || value == -1 && byte & 0x40 != 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::super::corpus::binaries;
    use super::*;

    #[test]
    fn what_is_taken_apart_can_be_put_together() {
        for bytes in binaries() {
            let sections = split(&bytes).unwrap();
            assert!(sections.len() > 5);
            // Lengths may be written in more bytes than they need, so the parts are compared.
            let again = split(&join(&bytes[..HEADER_BYTES], &sections)).unwrap();
            assert!(sections.iter().zip(&again).all(|(one, other)| one.content == other.content));
        }
    }
}

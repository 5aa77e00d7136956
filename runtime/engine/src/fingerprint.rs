//! The fingerprint of an entry: what flows in is an entry, what flows out are the 128 bits by which
//! it is known again without looking at its values.

use sha2::{Digest, Sha256};

use crate::flow::Fingerprint;
use crate::object::{AttributeMap, ClassName, Value};

/// A usual entry of 20 attributes fits without growing the buffer.
const CANONICAL_BYTES_USUAL: usize = 2 * 1024;

/// Takes the whole of an entry as its connector decoded it. Gives the first half of the SHA-256 of
/// its canonical form: names and values as exact bytes, both sorted, never in the order of the
/// server.
///
/// Source: performance.md 6. A directory is untrusted, hence a cryptographic digest.
pub fn fingerprint(class: &ClassName, dn: &str, attributes: &AttributeMap) -> Fingerprint {
    let mut form = Vec::with_capacity(CANONICAL_BYTES_USUAL);
    bytes(&mut form, class.as_str().as_bytes());
    bytes(&mut form, dn.as_bytes());
    for (name, values) in attributes {
        bytes(&mut form, name.as_str().as_bytes());
        form.extend((values.len() as u64).to_be_bytes());
        let mut sorted: Vec<&Value> = values.iter().collect();
        sorted.sort_unstable();
        for one in sorted {
            value(&mut form, one);
        }
    }
    let digest = Sha256::digest(&form);
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    Fingerprint(half)
}

fn value(form: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Text(text) => tagged(form, 0, text.as_bytes()),
        Value::Binary(data) => tagged(form, 1, data),
        Value::Integer(number) => tagged(form, 2, &number.to_be_bytes()),
        Value::Boolean(flag) => tagged(form, 3, &[u8::from(*flag)]),
        Value::Reference(key) => tagged(form, 4, key.as_bytes()),
    }
}

fn tagged(form: &mut Vec<u8>, tag: u8, data: &[u8]) {
    form.push(tag);
    bytes(form, data);
}

/// Lengths stand before the bytes, so that no two entries can run together into one form.
fn bytes(form: &mut Vec<u8>, data: &[u8]) {
    form.extend((data.len() as u64).to_be_bytes());
    form.extend_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(class: &str, dn: &str, attributes: &[(&str, &[Value])]) -> Fingerprint {
        let attributes =
            attributes.iter().map(|(name, values)| ((*name).into(), values.to_vec())).collect();
        fingerprint(&class.into(), dn, &attributes)
    }

    #[test]
    fn the_order_of_values_does_not_matter() {
        let (a, b) = (Value::text("a"), Value::text("b"));
        assert_eq!(
            of("user", "cn=x", &[("mail", &[a.clone(), b.clone()])]),
            of("user", "cn=x", &[("mail", &[b, a])]),
        );
    }

    #[test]
    fn everything_else_does() {
        let base = of("user", "cn=x", &[("a", &[Value::text("1")])]);
        for other in [
            of("group", "cn=x", &[("a", &[Value::text("1")])]),
            of("user", "cn=X", &[("a", &[Value::text("1")])]),
            of("user", "cn=x", &[("A", &[Value::text("1")])]),
            of("user", "cn=x", &[("a", &[Value::Integer(1)])]),
            of("user", "cn=x", &[("a", &[Value::Binary(b"1".to_vec())])]),
            of("user", "cn=x", &[("a", &[Value::Reference("1".into())])]),
            of("user", "cn=x", &[("a", &[Value::Boolean(true)])]),
            of("user", "cn=x", &[("a", &[Value::text("1"), Value::text("2")])]),
            of("user", "cn=x", &[]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(
            of("user", "", &[("a", &[Value::text("bc")])]),
            of("user", "", &[("ab", &[Value::text("c")])]),
        );
        assert_ne!(
            of("user", "", &[("a", &[Value::text("b"), Value::text("c")])]),
            of("user", "", &[("a", &[Value::text("bc")])]),
        );
    }
}

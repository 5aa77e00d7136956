//! The golden vectors, computed natively; the acceptance tests run them through the rule module.

#[path = "golden/read.rs"]
mod read;

use std::path::Path;

use kakehi_expr::Expression;

#[test]
fn r30_every_function_gives_what_its_vectors_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for vector in read::vectors(&folder) {
        count += 1;
        let found = match Expression::parse_untyped(&vector.expression) {
            Err(errors) => format!("refused: {}", errors[0]),
            Ok(expression) => match expression.compute(&vector.object) {
                Ok(computed) => read::written(&computed),
                Err(error) => format!("error: {}", error.fault),
            },
        };
        if found != vector.expected {
            let read::Vector { place, expression, expected, .. } = vector;
            wrong.push(format!("{place}: {expression} is {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} vectors:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 500, "{count} vectors were found");
}

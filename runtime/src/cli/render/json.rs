//! Reading documents that are printed as text too.

use serde_json::Value as Json;

pub fn list(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub fn text(value: &Json) -> &str {
    value.as_str().unwrap_or("")
}

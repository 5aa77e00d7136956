//! JSON Schema of the files that people write, for their editors (service.md 3.2).

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform as _, transform_subschemas};
use serde_json::Value;

/// Formats of the Rust types, which validators warn of because no standard has them.
const FORMATS: [&str; 10] =
    ["uint", "uint8", "uint16", "uint32", "uint64", "int", "int8", "int16", "int32", "int64"];

/// Gives the schema of a type, draft 2020-12, without formats that only Rust knows.
pub fn of<T: JsonSchema>() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    let mut strip = |schema: &mut schemars::Schema| strip(schema);
    strip.transform(&mut schema);
    schema.to_value()
}

fn strip(schema: &mut schemars::Schema) {
    let foreign = |format: &Value| format.as_str().is_some_and(|name| FORMATS.contains(&name));
    if schema.get("format").is_some_and(foreign) {
        schema.remove("format");
    }
    transform_subschemas(&mut strip, schema);
}

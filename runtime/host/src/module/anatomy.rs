//! What a module is, for people who review it: its bytes flow in, form, version and imports flow
//! out. Nothing of it is compiled or run.

use super::guarded;
use super::inspect::{Form, inspect};
use super::pack::to_binary;
use crate::error::LoadError;

/// A module from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anatomy {
    /// `component`, `core module`, `component in text` or `core module in text`.
    pub form: &'static str,
    /// Whether its WASI calls end in the powerless stub.
    pub stubbed: bool,
    /// The interface version that it was built for.
    pub interface: &'static str,
    /// `interface::item`, in the order of the module.
    pub imports: Vec<String>,
}

/// Takes: a module, and `module.api` of the manifest. Errors: K0503 to K0505, as when it loads.
pub fn anatomy(bytes: &[u8], api: Option<&str>) -> Result<Anatomy, LoadError> {
    let text = !bytes.starts_with(b"\0asm");
    let inspected = guarded(|| inspect(&to_binary(bytes)?, api))?;
    let (form, stubbed) = match (inspected.form, text) {
        (Form::Component, false) => ("component", false),
        (Form::Component, true) => ("component in text", false),
        (Form::Core { stubbed, .. }, false) => ("core module", stubbed),
        (Form::Core { stubbed, .. }, true) => ("core module in text", stubbed),
    };
    let interface = inspected.version.as_str();
    Ok(Anatomy { form, stubbed, interface, imports: inspected.imports })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Guest, HOST};

    #[test]
    fn a_module_tells_what_it_is_without_being_compiled() {
        let wat = Guest { imports: HOST, ..Guest::default() }.wat();
        let found = anatomy(wat.as_bytes(), None).unwrap();
        assert_eq!((found.form, found.stubbed), ("core module in text", false));
        assert_eq!(found.interface, "0.1");
        assert!(found.imports.contains(&"kakehi:rules/host@0.1.0::now".to_owned()), "{found:?}");
        let binary = to_binary(wat.as_bytes()).unwrap();
        assert_eq!(anatomy(&binary, None).unwrap().form, "core module");
        assert_eq!(anatomy(b"nothing", None).map_err(|error| error.code), Err("K0503"));
    }
}

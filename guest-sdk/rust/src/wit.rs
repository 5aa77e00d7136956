//! Bindings of the interface version that this SDK speaks, generated from `guest-sdk/wit`.
#![allow(unsafe_code, reason = "generated: it reads and writes the guest's memory")]
#![allow(clippy::too_many_arguments, reason = "generated: an entry is eight numbers")]

wit_bindgen::generate!({
    path: "../wit/since-v0.1.0",
    world: "rule",
    additional_derives: [PartialEq, Eq],
    pub_export_macro: true,
    export_macro_name: "export_rule",
    default_bindings_module: "kakehi_guest::wit",
});

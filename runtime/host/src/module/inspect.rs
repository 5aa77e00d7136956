//! What a module is, found by reading it before anything of it is compiled: component or core
//! module, which interface version, and whether it imports only what rules may have.

mod instances;

use wasmparser::{
    ComponentTypeRef, Parser, Payload, TypeBounds, Validator, component_types::ComponentAnyTypeId,
    types::Types,
};

use super::pack::{PREVIEW1, stub_functions};
use crate::abi::Version;
use crate::engine::FEATURES;
use crate::error::LoadError;
use crate::text::one_line;
use instances::Instances;

/// Custom sections by which a core module says which interface it was built for.
const COMPONENT_TYPE_SECTION: &str = "component-type";

/// Everything that rules may import stands under this name.
const RULES_PACKAGE: &str = "kakehi:rules/";

/// Most foreign imports that one message names: a module for WASI has dozens.
const FOREIGN_IMPORTS_SHOWN_MAX: usize = 5;

pub(crate) struct Inspected {
    pub(crate) version: Version,
    pub(crate) form: Form,
    /// `interface` or `interface::item`, in the order of the module.
    pub(crate) imports: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Component,
    Core {
        /// It carries a component-type section.
        typed: bool,
        /// It needs the powerless `wasi_snapshot_preview1`.
        stubbed: bool,
    },
}

/// One imported function, or an imported interface of which nothing is used.
struct Import {
    interface: String,
    item: Option<String>,
}

// === impl Import ===

impl Import {
    fn named(&self) -> String {
        match &self.item {
            Some(item) => format!("{}::{item}", self.interface),
            None => self.interface.clone(),
        }
    }
}

/// What stands in a module, outermost level only.
#[derive(Default)]
struct Contents {
    component: bool,
    typed: bool,
    imports: Vec<Import>,
    exports: Vec<String>,
}

/// Reads a module. Takes: its binary form, and `module.api` of the manifest.
///
/// Errors: K0503 not valid; K0504 a foreign import; K0505 no version found, or one that is not
/// known.
pub(crate) fn inspect(bytes: &[u8], api: Option<&str>) -> Result<Inspected, LoadError> {
    let contents = read(bytes)?;
    let stub = stub_functions();
    let stubbed = |import: &Import| {
        let item = import.item.as_deref().unwrap_or_default();
        !contents.component && import.interface == PREVIEW1 && stub.iter().any(|f| f == item)
    };
    let foreign: Vec<&Import> = contents
        .imports
        .iter()
        .filter(|import| !import.interface.starts_with(RULES_PACKAGE) && !stubbed(import))
        .collect();
    if !foreign.is_empty() {
        return Err(foreign_imports(&foreign));
    }
    let version = find_version(&contents, bytes, api)?;
    check_host_items(&contents.imports, version)?;
    let form = if contents.component {
        Form::Component
    } else {
        Form::Core { typed: contents.typed, stubbed: contents.imports.iter().any(stubbed) }
    };
    let imports = contents.imports.iter().map(|import| one_line(&import.named())).collect();
    Ok(Inspected { version, form, imports })
}

fn read(bytes: &[u8]) -> Result<Contents, LoadError> {
    let types = Validator::new_with_features(FEATURES)
        .validate_all(bytes)
        .map_err(|error| invalid(&error))?;
    let mut contents = Contents::default();
    let mut instances = Instances::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| invalid(&error))?;
        instances.read(&payload)?;
        match payload {
            Payload::Version { encoding, .. } => {
                depth += 1;
                if depth == 1 {
                    contents.component = encoding == wasmparser::Encoding::Component;
                }
            }
            Payload::End(_) => depth -= 1,
            Payload::CustomSection(section) if depth == 1 => {
                contents.typed |= section.name().starts_with(COMPONENT_TYPE_SECTION);
            }
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    let import = import.map_err(|error| invalid(&error))?;
                    contents.imports.extend(component_import(import.name.name, import.ty, &types));
                }
            }
            _ => {}
        }
    }
    let types = types.as_ref();
    let core_imports = types.core_imports().into_iter().flatten();
    contents.imports.extend(core_imports.map(|(interface, item, _)| Import {
        interface: interface.into(),
        item: Some(item.into()),
    }));
    contents
        .exports
        .extend(types.core_exports().into_iter().flatten().map(|(name, _)| name.into()));
    Ok(contents)
}

/// One import for each item of an imported interface, at least one; none for the alias of a type.
fn component_import(name: &str, kind: ComponentTypeRef, types: &Types) -> Vec<Import> {
    let items: Vec<Option<String>> = match kind {
        // A name for a type of another import: nothing that could be called.
        ComponentTypeRef::Type(TypeBounds::Eq(_)) => return vec![],
        ComponentTypeRef::Instance(index) => match types.component_any_type_at(index) {
            ComponentAnyTypeId::Instance(id) => {
                types[id].exports.keys().cloned().map(Some).collect()
            }
            _ => vec![],
        },
        _ => vec![],
    };
    let items = if items.is_empty() { vec![None] } else { items };
    items.into_iter().map(|item| Import { interface: name.into(), item }).collect()
}

fn find_version(
    contents: &Contents,
    bytes: &[u8],
    api: Option<&str>,
) -> Result<Version, LoadError> {
    let imported = contents.imports.iter().find_map(|import| {
        let (_, version) = import.interface.strip_prefix(RULES_PACKAGE)?.split_once('@')?;
        Some(version)
    });
    if let Some(version) = imported {
        return Version::parse(version);
    }
    if contents.typed
        && let Some(version) = section_version(bytes)?
    {
        return Version::parse(&version);
    }
    if let Some(version) = contents.exports.iter().find_map(|name| Version::of_marker(name)) {
        return version;
    }
    if let Some(api) = api {
        return Version::parse(api);
    }
    Err(LoadError::new("K0505", "does not say which version of `kakehi:rules` it was built for")
        .with_hint("export a function `kakehi_rules_0_1`, or set `module.api` in the manifest"))
}

/// The version of `kakehi:rules` in the component-type section, if it names one.
fn section_version(bytes: &[u8]) -> Result<Option<String>, LoadError> {
    let (_, metadata) = wit_component::metadata::decode(bytes).map_err(|error| {
        let why = one_line(&format!("{error:#}"));
        LoadError::new("K0503", format!("its component-type section is not valid: {why}"))
    })?;
    let package = metadata
        .resolve
        .package_names
        .keys()
        .find(|package| package.namespace == "kakehi" && package.name == "rules");
    Ok(package.and_then(|package| package.version.as_ref()).map(ToString::to_string))
}

/// A newer patch version is fine as long as nothing is imported that came with it.
fn check_host_items(imports: &[Import], version: Version) -> Result<(), LoadError> {
    let known = version.host_items();
    let unknown = imports.iter().find(|import| {
        import.interface.starts_with("kakehi:rules/host")
            && import.item.as_deref().is_some_and(|item| !known.contains(&item))
    });
    let Some(unknown) = unknown else {
        return Ok(());
    };
    let item = unknown.item.as_deref().unwrap_or_default();
    Err(LoadError::new(
        "K0505",
        format!("needs `{item}` of `{}`, which this program does not have", unknown.interface),
    )
    .with_hint("update Kakehi, or build the module without it"))
}

fn foreign_imports(imports: &[&Import]) -> LoadError {
    let shown: Vec<String> = imports
        .iter()
        .take(FOREIGN_IMPORTS_SHOWN_MAX)
        .map(|import| format!("`{}`", import.named()))
        .collect();
    let more = match imports.len().saturating_sub(FOREIGN_IMPORTS_SHOWN_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!("imports {}{more}, which rules cannot have", shown.join(", "));
    let error = LoadError::new("K0504", one_line(&message));
    if imports.iter().any(|import| import.interface.starts_with("wasi")) {
        return error.with_hint("build with `--stub-wasi` or for wasm32-unknown-unknown");
    }
    error
}

fn invalid(error: &wasmparser::BinaryReaderError) -> LoadError {
    let why = one_line(&error.to_string());
    LoadError::new("K0503", format!("not a valid WebAssembly module: {why}"))
}

//! How many instances a component really has. A component may hold another that holds another ...,
//! each instantiating the one below twice: a kilobyte of it keeps the compiler busy until memory is
//! used up. So they are counted before anything is compiled.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Encoding, Payload,
};

use super::invalid;
use crate::error::LoadError;

/// Most instances of a component, all levels together: Python and JavaScript have fewer than 100.
const INSTANCES_MAX: u64 = 1_000;

/// Counts the instances of every component while a module is read.
#[derive(Default)]
pub(super) struct Instances {
    /// The components that are being read, outermost first.
    open: Vec<Level>,
}

/// A component or core module that is being read.
#[derive(Default)]
struct Level {
    component: bool,
    /// Instances in it, with all that those bring along.
    count: u64,
    /// The same for each component that it knows, by index.
    components: Vec<u64>,
}

// === impl Instances ===

impl Instances {
    /// Takes every payload in the order of the file. Errors: K0503; K0507 too many, or a component
    /// of which nobody can say beforehand how many it has.
    pub(super) fn read(&mut self, payload: &Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::Version { encoding, .. } => {
                let component = *encoding == Encoding::Component;
                self.open.push(Level { component, ..Level::default() });
            }
            Payload::End(_) => self.close(),
            Payload::InstanceSection(section) => self.add(section.count().into())?,
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    let inside = match instance.map_err(|error| invalid(&error))? {
                        ComponentInstance::Instantiate { component_index, .. } => {
                            self.known(0, component_index)?
                        }
                        ComponentInstance::FromExports(_) => 0,
                    };
                    self.add(inside.saturating_add(1))?;
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    self.alias(&alias.map_err(|error| invalid(&error))?)?;
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    let import = import.map_err(|error| invalid(&error))?;
                    if let ComponentTypeRef::Component(_) = import.ty {
                        return Err(unknown());
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    let export = export.map_err(|error| invalid(&error))?;
                    if export.kind == ComponentExternalKind::Component {
                        // An export is known by a new index, too.
                        let count = self.known(0, export.index)?;
                        self.learn(count);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) -> Result<(), LoadError> {
        match alias {
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                let inside = self.known(*count, *index)?;
                self.learn(inside);
                Ok(())
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                Err(unknown())
            }
            _ => Ok(()),
        }
    }

    /// The instances of a component that is known so many levels further out.
    fn known(&self, outwards: u32, index: u32) -> Result<u64, LoadError> {
        let level = self.open.len().checked_sub(1 + outwards as usize);
        let level = level.and_then(|level| self.open.get(level));
        level.and_then(|level| level.components.get(index as usize)).copied().ok_or_else(unknown)
    }

    fn learn(&mut self, count: u64) {
        if let Some(level) = self.open.last_mut() {
            level.components.push(count);
        }
    }

    fn add(&mut self, count: u64) -> Result<(), LoadError> {
        let Some(level) = self.open.last_mut() else {
            return Ok(());
        };
        level.count = level.count.saturating_add(count);
        if level.count > INSTANCES_MAX {
            let message = format!(
                "cannot compile the module: it has more than {INSTANCES_MAX} instances, those of \
                 components in components included"
            );
            return Err(LoadError::new("K0507", message));
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Some(Level { component: true, count, .. }) = self.open.pop() {
            self.learn(count);
        }
    }
}

fn unknown() -> LoadError {
    let message = "cannot compile the module: it imports or aliases whole components, of which \
                   nobody can say how large they are";
    LoadError::new("K0507", message)
}

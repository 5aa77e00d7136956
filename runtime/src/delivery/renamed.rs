//! A target under the names that imported rules have for its objects: classes and attributes of
//! rules flow in, the target's own flow on to it, and back.
//!
//! Rules of Entra Connect write `userPrincipalName` of a `user`. They stay as they are; which
//! attribute of SCIM that is, the configuration of the target says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use async_trait::async_trait;
use kakehi_engine::export::AttributeChange;
use kakehi_engine::object::{AttributeMap, AttributeName, ClassName, ConnectorName};
use kakehi_engine::problem::ProblemKind;
use kakehi_engine::rule::TargetClass;

use crate::config::target::TypeNames;
use crate::delivery::scim::{path::Path, schema};
use crate::edge::{MatchKeys, RemoteObject, Target, TargetError, TargetReader, WriteOp, Written};

/// The names of one target's classes and attributes, both ways.
#[derive(Clone, Debug, Default)]
pub struct Names {
    types: BTreeMap<ClassName, Type>,
}

#[derive(Clone, Debug)]
struct Type {
    resource: ClassName,
    /// From names of rules to paths of the target.
    paths: BTreeMap<AttributeName, AttributeName>,
}

/// What is wrong with names, in words for whoever wrote them.
#[derive(Debug)]
pub struct NamesError(String);

/// A target that speaks under other names.
pub struct Renamed {
    inner: Box<dyn Target>,
    names: Names,
}

// === impl NamesError ===

impl fmt::Display for NamesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Names ===

impl Names {
    /// Takes what the configuration says, by object type of the rules. Errors: a path that is none,
    /// or that two attributes would share.
    pub fn new(types: &BTreeMap<String, TypeNames>) -> Result<Self, NamesError> {
        let mut names = Self::default();
        for (class, TypeNames { resource, attributes }) in types {
            let mut paths = BTreeMap::new();
            let mut taken = BTreeMap::new();
            for (attribute, path) in attributes {
                Path::parse(path).map_err(|error| NamesError(format!("`{class}`: {error}")))?;
                if let Some(other) = taken.insert(path, attribute) {
                    let message =
                        format!("`{class}`: `{other}` and `{attribute}` are both `{path}`");
                    return Err(NamesError(message));
                }
                paths.insert(attribute.as_str().into(), path.as_str().into());
            }
            let resource = resource.as_str().into();
            names.types.insert(class.as_str().into(), Type { resource, paths });
        }
        Ok(names)
    }

    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// The object types of the target as rules see them.
    pub fn classes(&self) -> BTreeMap<ClassName, TargetClass> {
        let resources = schema::classes();
        let renamed = |(class, names): (&ClassName, &Type)| {
            Some((class.clone(), names.class(resources.get(&names.resource)?)))
        };
        self.types.iter().filter_map(renamed).collect()
    }

    /// The only attributes that the target takes, by object type.
    pub fn taken(&self) -> BTreeMap<ClassName, BTreeSet<AttributeName>> {
        let taken = |(class, names): (&ClassName, &Type)| {
            (class.clone(), names.paths.keys().cloned().collect())
        };
        self.types.iter().map(taken).collect()
    }

    fn of(&self, class: &ClassName) -> Result<&Type, TargetError> {
        self.types.get(class).ok_or_else(|| TargetError::Rejected {
            kind: ProblemKind::InvalidValue,
            message: format!("`types` of the target has no `{class}`"),
        })
    }

    fn op(&self, op: &WriteOp) -> Result<WriteOp, TargetError> {
        Ok(match op {
            WriteOp::Create { class, attributes } => {
                let names = self.of(class)?;
                WriteOp::Create { class: names.resource.clone(), attributes: names.out(attributes) }
            }
            WriteOp::Update { class, remote_id, changes } => {
                let names = self.of(class)?;
                let renamed = |change: &AttributeChange| {
                    let attribute = names.paths.get(&change.attribute)?.clone();
                    Some(AttributeChange { attribute, ..change.clone() })
                };
                WriteOp::Update {
                    class: names.resource.clone(),
                    remote_id: remote_id.clone(),
                    changes: changes.iter().filter_map(renamed).collect(),
                }
            }
            WriteOp::Delete { class, remote_id } => WriteOp::Delete {
                class: self.of(class)?.resource.clone(),
                remote_id: remote_id.clone(),
            },
        })
    }
}

fn class_of(op: &WriteOp) -> &ClassName {
    match op {
        WriteOp::Create { class, .. }
        | WriteOp::Update { class, .. }
        | WriteOp::Delete { class, .. } => class,
    }
}

// === impl Type ===

impl Type {
    fn out(&self, attributes: &AttributeMap) -> AttributeMap {
        let mut renamed = AttributeMap::new();
        for (attribute, path) in &self.paths {
            if let Some(values) = attributes.get(attribute) {
                renamed.insert(path.clone(), values.clone());
            }
        }
        renamed
    }

    fn back(&self, class: &ClassName, object: RemoteObject) -> RemoteObject {
        let mut attributes = AttributeMap::new();
        for (attribute, path) in &self.paths {
            if let Some(values) = object.attributes.get(path) {
                attributes.insert(attribute.clone(), values.clone());
            }
        }
        RemoteObject { remote_id: object.remote_id, class: class.clone(), attributes }
    }

    /// The name that rules have for a path, or the path itself.
    fn name(&self, path: &AttributeName) -> Option<&AttributeName> {
        self.paths.iter().find(|(_, known)| *known == path).map(|(name, _)| name)
    }

    fn class(&self, resource: &TargetClass) -> TargetClass {
        let name = |path: &AttributeName| self.name(path).cloned();
        TargetClass {
            naming: resource.naming.as_ref().and_then(name),
            disable: resource
                .disable
                .as_ref()
                .and_then(|(path, value)| Some((name(path)?, value.clone()))),
            multi_valued: resource.multi_valued.iter().filter_map(name).collect(),
            types: resource
                .types
                .iter()
                .filter_map(|(path, kind)| Some((name(path)?, *kind)))
                .collect(),
            match_by: resource.match_by.iter().filter_map(name).collect(),
            rank: resource.rank,
        }
    }
}

// === impl Renamed ===

impl Renamed {
    pub fn new(inner: Box<dyn Target>, names: Names) -> Self {
        Self { inner, names }
    }
}

#[async_trait]
impl TargetReader for Renamed {
    fn name(&self) -> &ConnectorName {
        self.inner.name()
    }

    async fn begin_cycle(&self) {
        self.inner.begin_cycle().await;
    }

    async fn find(
        &self,
        class: &ClassName,
        wanted: &[MatchKeys],
    ) -> Result<Vec<Vec<RemoteObject>>, TargetError> {
        let names = self.names.of(class)?;
        let key = |(name, text): &(AttributeName, String)| {
            Some((names.paths.get(name)?.clone(), text.clone()))
        };
        let wanted: Vec<MatchKeys> =
            wanted.iter().map(|keys| keys.iter().filter_map(key).collect()).collect();
        let found = self.inner.find(&names.resource, &wanted).await?;
        let back = |objects: Vec<RemoteObject>| {
            objects.into_iter().map(|object| names.back(class, object)).collect()
        };
        Ok(found.into_iter().map(back).collect())
    }

    async fn read(
        &self,
        class: &ClassName,
        remote_id: &str,
    ) -> Result<Option<RemoteObject>, TargetError> {
        let names = self.names.of(class)?;
        let found = self.inner.read(&names.resource, remote_id).await?;
        Ok(found.map(|object| names.back(class, object)))
    }

    fn window(&self) -> usize {
        self.inner.window()
    }
}

#[async_trait]
impl Target for Renamed {
    async fn write(&self, op: &WriteOp) -> Result<Written, TargetError> {
        let names = self.names.of(class_of(op))?;
        let mut written = self.inner.write(&self.names.op(op)?).await?;
        for attribute in &mut written.diverging {
            if let Some(name) = names.name(attribute) {
                *attribute = name.clone();
            }
        }
        Ok(written)
    }

    fn reader(&self) -> &dyn TargetReader {
        self
    }
}

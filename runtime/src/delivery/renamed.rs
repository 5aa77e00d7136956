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
    /// Takes what the configuration says, by object type of the rules. Errors: a path that is none.
    pub fn new(types: &BTreeMap<String, TypeNames>) -> Result<Self, NamesError> {
        let mut names = Self::default();
        for (class, TypeNames { resource, attributes }) in types {
            let mut paths = BTreeMap::new();
            for (attribute, path) in attributes {
                Path::parse(path).map_err(|error| NamesError(format!("`{class}`: {error}")))?;
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

#[cfg(test)]
mod tests {
    use kakehi_engine::object::Value;

    use super::*;

    /// Takes one object under the names of SCIM, and shows one.
    struct Fake(ConnectorName);

    #[async_trait]
    impl TargetReader for Fake {
        fn name(&self) -> &ConnectorName {
            &self.0
        }

        async fn begin_cycle(&self) {}

        async fn find(
            &self,
            class: &ClassName,
            wanted: &[MatchKeys],
        ) -> Result<Vec<Vec<RemoteObject>>, TargetError> {
            assert_eq!(class.as_str(), "User");
            assert_eq!(wanted, [[("userName".into(), "ann".to_owned())]]);
            Ok(vec![vec![self.read(class, "1").await?.expect("it is there")]])
        }

        async fn read(
            &self,
            class: &ClassName,
            remote_id: &str,
        ) -> Result<Option<RemoteObject>, TargetError> {
            let values = |text| vec![Value::text(text)];
            let attributes = [("userName".into(), values("ann")), ("nickName".into(), values("a"))];
            Ok(Some(RemoteObject {
                remote_id: remote_id.to_owned(),
                class: class.clone(),
                attributes: attributes.into(),
            }))
        }

        fn window(&self) -> usize {
            1
        }
    }

    #[async_trait]
    impl Target for Fake {
        async fn write(&self, op: &WriteOp) -> Result<Written, TargetError> {
            let attributes = [("userName".into(), vec![Value::text("ann")])].into();
            assert_eq!(*op, WriteOp::Create { class: "User".into(), attributes });
            Ok(Written { remote_id: "1".into(), diverging: vec!["userName".into()] })
        }

        fn reader(&self) -> &dyn TargetReader {
            self
        }
    }

    fn names(attributes: &[(&str, &str)]) -> Result<Names, String> {
        let owned = |(name, path): &(&str, &str)| ((*name).to_owned(), (*path).to_owned());
        let names = TypeNames {
            resource: "User".into(),
            attributes: attributes.iter().map(owned).collect(),
        };
        Names::new(&[("user".to_owned(), names)].into()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn names_of_rules_go_out_as_paths_and_come_back_as_names() {
        let names = names(&[("upn", "userName"), ("accountEnabled", "active")]).unwrap();
        let target = Renamed::new(Box::new(Fake("cloud".into())), names);
        let values = vec![Value::text("ann")];
        let create = WriteOp::Create {
            class: "user".into(),
            attributes: [("upn".into(), values.clone()), ("other".into(), values.clone())].into(),
        };
        let written = target.write(&create).await.unwrap();
        assert_eq!(written.diverging, [AttributeName::from("upn")]);
        let found =
            target.find(&"user".into(), &[vec![("upn".into(), "ann".into())]]).await.unwrap();
        let expected: AttributeMap = [("upn".into(), values)].into();
        assert_eq!((&found[0][0].attributes, found[0][0].class.as_str()), (&expected, "user"));
        let unknown = WriteOp::Delete { class: "contact".into(), remote_id: "1".into() };
        let error = target.write(&unknown).await.err().unwrap().to_string();
        assert_eq!(error, "`types` of the target has no `contact`");
    }

    #[test]
    fn the_class_is_described_in_the_names_of_the_rules() {
        let classes = names(&[("upn", "userName"), ("on", "active"), ("anchor", "externalId")])
            .unwrap()
            .classes();
        let class = &classes["user"];
        assert_eq!(class.naming, Some("upn".into()));
        assert_eq!(class.disable, Some(("on".into(), Value::Boolean(false))));
        assert_eq!(class.match_by, ["anchor".into(), "upn".into()]);
        // Without a name for `active`, nothing could be disabled.
        assert_eq!(names(&[("upn", "userName")]).unwrap().classes()["user"].disable, None);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        assert_eq!(
            names(&[("a", "name.")]).err().as_deref(),
            Some(
                "`user`: `name.` is no attribute path of the form \
                 `attribute[sub eq \"value\"].sub`"
            )
        );
    }
}

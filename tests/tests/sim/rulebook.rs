//! Rules without modules: a table says what each rule answers. Stands where the host stands.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use kakehi_engine::flow::{Contribution, Flow, RuleInput, RuleOutcome, Rules, Trap};
use kakehi_engine::object::{AttributeName, ClassName, ConnectorName, Value};
use kakehi_engine::rule::{
    Compat, Connector, ConnectorKind, Contract, Direction, JoinClause, LinkType, Merge,
    ModuleIdentity, OnDelete, OnScopeExit, Rule, RuleId, RuleSet, RuleTag, TargetClass, Thresholds,
    WritePolicy,
};
use kakehi_engine::scope::{Clause, Operator, Scope};

/// What a flow contributes.
#[derive(Clone, Debug)]
pub enum Origin {
    /// The values of an attribute; NULL where it has none.
    Copy(&'static str),
    /// The same value always.
    Constant(Value),
    /// Two attributes with a blank between; NULL unless both are there.
    Compose(&'static str, &'static str),
    /// AuthoritativeNull.
    Block,
    /// IgnoreThisFlow while the attribute says `keep`, else its values.
    CopyUnlessKeep(&'static str),
}

/// What a rule does besides contributing.
#[derive(Clone, Debug, Default)]
pub enum Conduct {
    #[default]
    Answers,
    /// Skips objects that have this attribute.
    SkipsIf(&'static str),
    /// Fails on objects that lack this attribute.
    FailsWithout(&'static str),
    /// Traps on objects that have this attribute.
    TrapsOn(&'static str),
}

/// One rule of the table.
#[derive(Clone, Debug)]
pub struct Sketch {
    pub rule: Rule,
    flows: Vec<(AttributeName, Origin)>,
    conduct: Conduct,
}

/// A rule set with its answers.
#[derive(Clone)]
pub struct Rulebook {
    pub set: RuleSet,
    sketches: BTreeMap<RuleTag, Sketch>,
    /// Objects asked about, by rule.
    pub calls: RefCell<BTreeMap<RuleTag, u64>>,
}

impl Sketch {
    pub fn inbound(connector: &str, name: &str, precedence: u32, class: &str, mv: &str) -> Self {
        Self::new(Direction::Inbound, connector, name, precedence, (class, mv))
    }

    pub fn outbound(connector: &str, name: &str, precedence: u32, class: &str, mv: &str) -> Self {
        Self::new(Direction::Outbound, connector, name, precedence, (class, mv))
    }

    fn new(
        direction: Direction,
        connector: &str,
        name: &str,
        precedence: u32,
        (cs_class, mv_class): (&str, &str),
    ) -> Self {
        let module = ModuleIdentity {
            source: "table".into(),
            sha256: "0".repeat(64),
            config_sha256: String::new(),
        };
        let rule = Rule {
            tag: RuleTag(format!("{name}@{connector}").into()),
            name: name.into(),
            description: String::new(),
            direction,
            connector: connector.into(),
            cs_class: cs_class.into(),
            mv_class: mv_class.into(),
            precedence,
            link: LinkType::Join,
            scope: Scope::default(),
            join: vec![],
            on_scope_exit: OnScopeExit::Release,
            on_delete: OnDelete::Keep,
            contract: Contract::default(),
            parameters: BTreeMap::new(),
            module,
        };
        Self { rule, flows: vec![], conduct: Conduct::Answers }
    }

    pub fn provision(mut self) -> Self {
        self.rule.link = LinkType::Provision;
        self
    }

    pub fn sticky(mut self) -> Self {
        self.rule.link = LinkType::StickyJoin;
        self
    }

    pub fn on_delete(mut self, action: OnDelete) -> Self {
        self.rule.on_delete = action;
        self
    }

    pub fn clear_on_scope_exit(mut self) -> Self {
        self.rule.on_scope_exit = OnScopeExit::Clear;
        self
    }

    pub fn volatile(mut self) -> Self {
        self.rule.contract.volatile = true;
        self
    }

    /// A further join group of one clause: source or target attribute, metaverse attribute.
    pub fn join(mut self, cs: &str, mv: &str) -> Self {
        let clause = JoinClause { cs: cs.into(), mv: mv.into(), case_sensitive: false };
        self.rule.join.push(vec![clause]);
        self
    }

    /// A further scope group of one clause.
    pub fn scope(mut self, attribute: &str, operator: Operator, value: &str) -> Self {
        let attribute = attribute.into();
        let clause = Clause { attribute, operator, value: value.into(), case_sensitive: false };
        self.rule.scope.groups.push(vec![clause]);
        self
    }

    pub fn flow(self, to: &str, origin: Origin) -> Self {
        self.flow_as(to, origin, WritePolicy::default())
    }

    pub fn copy(self, to: &str, from: &'static str) -> Self {
        self.flow(to, Origin::Copy(from))
    }

    pub fn merge(self, to: &str, from: &'static str) -> Self {
        let policy = WritePolicy { merge: Merge::Merge, ..WritePolicy::default() };
        self.flow_as(to, Origin::Copy(from), policy)
    }

    pub fn once(self, to: &str, origin: Origin) -> Self {
        let policy = WritePolicy { apply_once: true, ..WritePolicy::default() };
        self.flow_as(to, origin, policy)
    }

    fn flow_as(mut self, to: &str, origin: Origin, policy: WritePolicy) -> Self {
        let reads: &[&str] = match &origin {
            Origin::Copy(name) | Origin::CopyUnlessKeep(name) => &[name],
            Origin::Compose(first, second) => &[first, second],
            Origin::Constant(_) | Origin::Block => &[],
        };
        self.rule.contract.reads.extend(reads.iter().map(|name| (*name).into()));
        self.rule.contract.writes.insert(to.into(), policy);
        self.flows.push((to.into(), origin));
        self
    }

    pub fn conduct(mut self, conduct: Conduct) -> Self {
        if let Conduct::SkipsIf(name) | Conduct::FailsWithout(name) | Conduct::TrapsOn(name) =
            conduct
        {
            self.rule.contract.reads.insert(name.into());
        }
        self.conduct = conduct;
        self
    }

    /// The rule, with a configuration that tells it from one with other answers.
    fn finished(&self) -> Rule {
        let mut rule = self.rule.clone();
        rule.module.config_sha256 = format!("{:?} {:?}", self.flows, self.conduct);
        rule
    }

    /// What the rule says of an object with these attributes.
    pub fn answer(&self, get: impl Fn(&str) -> Vec<Value>) -> RuleOutcome {
        let has = |name: &str| !get(name).is_empty();
        match self.conduct {
            Conduct::SkipsIf(name) if has(name) => return RuleOutcome::Skip(format!("has {name}")),
            Conduct::FailsWithout(name) if !has(name) => {
                let message = format!("`{name}` is not present");
                return RuleOutcome::Fail { attribute: Some(name.into()), message };
            }
            Conduct::TrapsOn(name) if has(name) => {
                let message = "unreachable".into();
                return RuleOutcome::Trapped { trap: Trap::Trap, message };
            }
            _ => {}
        }
        let flow = |(attribute, origin): &(AttributeName, Origin)| {
            let contribution = contribution(origin, &get);
            Flow { attribute: attribute.clone(), contribution }
        };
        RuleOutcome::Flows(self.flows.iter().map(flow).collect())
    }
}

fn contribution(origin: &Origin, get: &impl Fn(&str) -> Vec<Value>) -> Contribution {
    let some = |values: Vec<Value>| {
        if values.is_empty() { Contribution::None } else { Contribution::Values(values) }
    };
    match origin {
        Origin::Copy(name) => some(get(name)),
        Origin::Constant(value) => Contribution::Values(vec![value.clone()]),
        Origin::Compose(first, second) => {
            let text = |name| get(name).first()?.as_text().map(|text| text.into_owned());
            match (text(first), text(second)) {
                (Some(first), Some(second)) => some(vec![Value::Text(format!("{first} {second}"))]),
                _ => Contribution::None,
            }
        }
        Origin::Block => Contribution::Block,
        Origin::CopyUnlessKeep(name) => match get(name) {
            values if values == [Value::text("keep")] => Contribution::Keep,
            values => some(values),
        },
    }
}

// === impl Rulebook ===

impl Rulebook {
    pub fn new(connectors: Vec<Connector>, sketches: Vec<Sketch>) -> Self {
        let order: BTreeMap<ConnectorName, u32> =
            connectors.iter().map(|connector| (connector.name.clone(), connector.order)).collect();
        let mut rules: Vec<Rule> = sketches.iter().map(Sketch::finished).collect();
        rules.sort_by_key(|rule| (rule.direction, rule.precedence, order[&rule.connector]));
        let set = RuleSet::new(connectors, rules, Compat::default(), BTreeMap::new());
        let by_tag = |sketch: Sketch| (sketch.rule.tag.clone(), sketch);
        let sketches = sketches.into_iter().map(by_tag).collect();
        Self { set, sketches, calls: RefCell::default() }
    }

    /// The same connectors with other rules.
    pub fn with(&self, change: impl FnOnce(&mut Vec<Sketch>)) -> Self {
        let mut sketches: Vec<Sketch> = self.sketches.values().cloned().collect();
        change(&mut sketches);
        Self::new(self.set.connectors.clone(), sketches)
    }

    pub fn sketch(&self, tag: &RuleTag) -> &Sketch {
        &self.sketches[tag]
    }

    /// The place of a source among the connectors; `None` for a target.
    pub fn order(&self, connector: &ConnectorName) -> Option<u32> {
        let connector = self.set.connector(connector)?;
        (connector.kind == ConnectorKind::Source).then_some(connector.order)
    }

    pub fn calls_of(&self, tag: &str) -> u64 {
        self.calls.borrow().get(&RuleTag(tag.into())).copied().unwrap_or(0)
    }
}

impl Rules for Rulebook {
    fn apply(&self, _: RuleId, rule: &Rule, inputs: &[RuleInput<'_>]) -> Vec<RuleOutcome> {
        *self.calls.borrow_mut().entry(rule.tag.clone()).or_default() += inputs.len() as u64;
        let answer = |input: &RuleInput<'_>| {
            self.sketches[&rule.tag].answer(|name| {
                let found = input.attributes.iter().find(|(known, _)| known.as_str() == name);
                found.map_or_else(Vec::new, |(_, values)| values.to_vec())
            })
        };
        inputs.iter().map(answer).collect()
    }
}

pub fn source(name: &str, order: u32) -> Connector {
    Connector {
        name: name.into(),
        kind: ConnectorKind::Source,
        order,
        classes: BTreeMap::new(),
        thresholds: Thresholds::default(),
    }
}

/// A target that may lose everything at once: tests of limits set their own.
pub fn target(
    name: &str,
    order: u32,
    classes: impl IntoIterator<Item = (&'static str, TargetClass)>,
) -> Connector {
    let classes = classes.into_iter().map(|(name, class)| (ClassName::from(name), class)).collect();
    let thresholds =
        Thresholds { removals_max: u64::MAX, removals_percent: 100, removals_floor: u64::MAX };
    Connector { name: name.into(), kind: ConnectorKind::Target, order, classes, thresholds }
}

/// Attributes as names.
pub fn names<const N: usize>(names: [&str; N]) -> BTreeSet<AttributeName> {
    names.into_iter().map(AttributeName::from).collect()
}

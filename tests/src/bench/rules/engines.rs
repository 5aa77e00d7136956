//! Script engines with the same mapping, called the same way: every value of an object goes in,
//! every value of the answer comes out.

use kakehi_engine::flow::{Contribution, Flow, RuleInput, RuleOutcome};
use kakehi_engine::object::Value;
use mlua::{Function, Lua, Table};
use rhai::{AST, Array, Blob, Dynamic, Engine, Map, Scope};

use crate::bench::{BenchError, Result};

fn flow(attribute: &str, values: Vec<Value>) -> Flow {
    let contribution =
        if values.is_empty() { Contribution::None } else { Contribution::Values(values) };
    Flow { attribute: attribute.into(), contribution }
}

pub struct LuaRule {
    lua: Lua,
    apply: Function,
}

// === impl LuaRule ===

impl LuaRule {
    pub fn new() -> Result<Self> {
        let lua = Lua::new();
        let apply = lua.load(include_str!("mapping.lua")).eval();
        let apply = apply.map_err(|error| BenchError::answer("Lua", error))?;
        Ok(Self { lua, apply })
    }

    pub fn map(&self, input: &RuleInput<'_>) -> Result<RuleOutcome> {
        self.call(input).map_err(|error| BenchError::answer("Lua", error))
    }

    fn call(&self, input: &RuleInput<'_>) -> mlua::Result<RuleOutcome> {
        let attributes = self.lua.create_table_with_capacity(0, input.attributes.len())?;
        for (name, values) in &input.attributes {
            let list = self.lua.create_table_with_capacity(values.len(), 0)?;
            for (index, value) in values.iter().enumerate() {
                list.raw_set(index + 1, self.value_in(value)?)?;
            }
            attributes.raw_set(name.as_str(), list)?;
        }
        let parameters = self.lua.create_table_with_capacity(0, input.parameters.len())?;
        for (name, value) in &input.parameters {
            parameters.raw_set(*name, *value)?;
        }
        let entry = self.lua.create_table_with_capacity(0, 3)?;
        entry.raw_set("class", input.class)?;
        entry.raw_set("attributes", attributes)?;
        entry.raw_set("parameters", parameters)?;
        let answer: Table = self.apply.call(entry)?;
        if let Some(reason) = answer.raw_get::<Option<String>>("skip")? {
            return Ok(RuleOutcome::Skip(reason));
        }
        if let Some(message) = answer.raw_get::<Option<String>>("fail")? {
            return Ok(RuleOutcome::Fail { attribute: None, message });
        }
        let mut flows = Vec::with_capacity(answer.raw_len());
        for item in answer.sequence_values::<Table>() {
            let item = item?;
            let name: mlua::LuaString = item.raw_get(1)?;
            let list: Table = item.raw_get(2)?;
            let values = list.sequence_values::<mlua::Value>().map(|value| value_out(&value?));
            flows.push(flow(&name.to_str()?, values.collect::<mlua::Result<_>>()?));
        }
        Ok(RuleOutcome::Flows(flows))
    }

    fn value_in(&self, value: &Value) -> mlua::Result<mlua::Value> {
        Ok(match value {
            Value::Text(text) | Value::Reference(text) => {
                mlua::Value::String(self.lua.create_string(text)?)
            }
            Value::Binary(bytes) => mlua::Value::String(self.lua.create_string(bytes)?),
            Value::Integer(number) => mlua::Value::Integer(*number),
            Value::Boolean(flag) => mlua::Value::Boolean(*flag),
        })
    }
}

fn value_out(value: &mlua::Value) -> mlua::Result<Value> {
    match value {
        mlua::Value::String(text) => Ok(Value::Text(text.to_str()?.to_owned())),
        mlua::Value::Integer(number) => Ok(Value::Integer(*number)),
        mlua::Value::Boolean(flag) => Ok(Value::Boolean(*flag)),
        other => Err(mlua::Error::runtime(format!("a value of type {}", other.type_name()))),
    }
}

pub struct RhaiRule {
    engine: Engine,
    code: AST,
}

// === impl RhaiRule ===

impl RhaiRule {
    pub fn new() -> Result<Self> {
        let mut engine = Engine::new();
        engine.set_optimization_level(rhai::OptimizationLevel::Full);
        let code = engine.compile(include_str!("mapping.rhai"));
        let code = code.map_err(|error| BenchError::answer("rhai", error))?;
        Ok(Self { engine, code })
    }

    pub fn map(&self, input: &RuleInput<'_>) -> Result<RuleOutcome> {
        let attributes = input.attributes.iter().map(|(name, values)| {
            let values: Array = values.iter().map(dynamic_in).collect();
            (name.as_str().into(), values.into())
        });
        let parameters = input.parameters.iter();
        let parameters = parameters.map(|(name, value)| ((*name).into(), (*value).into()));
        let entry = Map::from([
            ("class".into(), input.class.into()),
            ("attributes".into(), attributes.collect::<Map>().into()),
            ("parameters".into(), parameters.collect::<Map>().into()),
        ]);
        let answer: Dynamic = self
            .engine
            .call_fn(&mut Scope::new(), &self.code, "apply", (entry,))
            .map_err(|error| BenchError::answer("rhai", error))?;
        outcome(answer).ok_or_else(|| BenchError::answer("rhai", "it has another shape"))
    }
}

fn dynamic_in(value: &Value) -> Dynamic {
    match value {
        Value::Text(text) | Value::Reference(text) => text.as_str().into(),
        Value::Binary(bytes) => Dynamic::from_blob(Blob::from(bytes.as_slice())),
        Value::Integer(number) => (*number).into(),
        Value::Boolean(flag) => (*flag).into(),
    }
}

fn outcome(answer: Dynamic) -> Option<RuleOutcome> {
    if let Some(map) = answer.read_lock::<Map>() {
        let text = |name: &str| map.get(name)?.clone().into_string().ok();
        return match (text("skip"), text("fail")) {
            (Some(reason), _) => Some(RuleOutcome::Skip(reason)),
            (None, Some(message)) => Some(RuleOutcome::Fail { attribute: None, message }),
            (None, None) => None,
        };
    }
    let flows = answer.into_array().ok()?.into_iter().map(|item| {
        let [name, values] = <[Dynamic; 2]>::try_from(item.into_array().ok()?).ok()?;
        let values = values.into_array().ok()?.into_iter().map(|value| {
            if let Ok(flag) = value.as_bool() {
                return Some(Value::Boolean(flag));
            }
            match value.as_int() {
                Ok(number) => Some(Value::Integer(number)),
                Err(_) => value.into_string().ok().map(Value::Text),
            }
        });
        Some(flow(&name.into_string().ok()?, values.collect::<Option<_>>()?))
    });
    Some(RuleOutcome::Flows(flows.collect::<Option<_>>()?))
}

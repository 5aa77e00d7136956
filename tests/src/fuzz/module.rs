//! Mutated modules and texts: loaded, and asked about one object if they load.

use std::sync::Arc;
use std::time::Duration;

use kakehi_engine::flow::RuleInput;
use kakehi_engine::object::{AttributeName, Value};
use kakehi_engine::rule::Direction;
use kakehi_host::{Host, Limits, ModuleSpec, Options};

use super::answer::{check, rule};
use super::mutate::{mutate, mutate_text};
use super::random::Random;
use super::{Target, corpus};

/// Small, so that a module that does its worst is soon done.
const LIMITS: Limits = Limits {
    memory_bytes: 16 * 1024 * 1024,
    time: Duration::from_millis(30),
    output_bytes: 256 * 1024,
    fuel: None,
};

pub struct Modules {
    host: Host,
    binaries: Vec<Vec<u8>>,
    texts: Vec<String>,
    dn: AttributeName,
}

// === impl Modules ===

impl Modules {
    pub fn new() -> Self {
        let options = Options {
            workers: 1,
            describe_time: Duration::from_millis(50),
            compile_time: Duration::from_secs(20),
            ..Options::default()
        };
        Self {
            host: Host::new(options).expect("a host"),
            binaries: corpus::binaries(),
            texts: corpus::texts(),
            dn: "dn".into(),
        }
    }
}

impl Default for Modules {
    fn default() -> Self {
        Self::new()
    }
}

impl Target for Modules {
    fn name(&self) -> &'static str {
        "module"
    }

    fn input(&self, random: &mut Random) -> Vec<u8> {
        if random.once_in(3) {
            let (text, other) = (random.pick(&self.texts), random.pick(&self.texts));
            return mutate_text(text, other, random).into_bytes();
        }
        let (bytes, other) = (random.pick(&self.binaries), random.pick(&self.binaries));
        mutate(bytes, other, random)
    }

    fn execute(&self, input: &[u8]) -> Result<String, String> {
        // Half of them need not say their version.
        let api = input.len().is_multiple_of(2).then_some("0.1");
        let spec = ModuleSpec { name: "fuzz", bytes: input, config: "{}", limits: LIMITS, api };
        let module = match self.host.load(&spec) {
            Ok(module) => Arc::new(module),
            Err(error) if error.message.contains("the compiler failed") => {
                return Err(error.to_string());
            }
            Err(error) => {
                check_text(&error.to_string(), 4 * 1024)?;
                return Ok(error.code.into());
            }
        };
        let rule = rule(Direction::Inbound, &["displayName", "dn"]);
        let values = [Value::text("CN=Taro,DC=example")];
        let input = RuleInput {
            class: "user",
            attributes: vec![(&self.dn, values.as_slice().into())],
            imported: vec![],
            parameters: vec![],
        };
        let measured = module.trial(&rule).ask(&rule, &input, None);
        if measured.memory_bytes > LIMITS.memory_bytes {
            return Err(format!("{} bytes of memory", measured.memory_bytes));
        }
        check(&measured.outcome, &rule, &input)
    }
}

/// Whatever a module makes us say is for people.
pub fn check_text(text: &str, bytes_max: usize) -> Result<(), String> {
    match text.chars().find(|character| character.is_control()) {
        Some(found) => Err(format!("a text with {found:?}")),
        None if text.len() > bytes_max => Err(format!("a text of {} bytes", text.len())),
        None => Ok(()),
    }
}

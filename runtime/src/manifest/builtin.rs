//! The rule modules that the program carries, as the bytes its build script compiled.

/// `builtin:declarative`: constant, direct and expression flows.
pub const DECLARATIVE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/declarative.wasm"));

/// The example rule of `rules/names`, which the built-in demonstration uses.
pub const NAMES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/names.wasm"));

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::sync::Arc;
    use std::time::Duration;

    use kakehi_engine::flow::{Contribution, Flow, RuleInput, RuleOutcome, Rules as _};
    use kakehi_engine::object::{AttributeName, Value};
    use kakehi_engine::rule::{
        Contract, Direction, LinkType, ModuleIdentity, OnDelete, OnScopeExit, Rule, RuleId,
        RuleTag, WritePolicy,
    };
    use kakehi_engine::scope::Scope;
    use kakehi_engine::time::Timestamp;
    use kakehi_host::{Generation, Host, Limits, LoadedModule, ModuleSpec, Options};

    use super::{DECLARATIVE, NAMES};

    /// Largest built-in module in bytes. The larger one measures 348 KiB; a dependency that slips
    /// in is noticed.
    const MODULE_BYTES_MAX: usize = 512 * 1024;

    #[test]
    fn the_embedded_modules_are_wasm_and_small() {
        for module in [DECLARATIVE, NAMES] {
            assert_eq!(module[..8], *b"\0asm\x01\0\0\0");
            assert!(module.len() < MODULE_BYTES_MAX, "{} bytes", module.len());
        }
    }

    #[test]
    fn the_declarative_module_answers_behind_the_wall() {
        let config = r#"{"flows": [
            {"to": "mail", "from": "mail"},
            {"to": "cloudFiltered", "expr": "IIF(Left([uid], 4) = \"AAD_\", True, NULL)"}
        ]}"#;
        check(
            DECLARATIVE,
            config,
            &[("mail", "a@x.example"), ("uid", "AAD_1")],
            &[
                ("mail", Contribution::Values(vec![Value::text("a@x.example")])),
                ("cloudFiltered", Contribution::Values(vec![Value::Boolean(true)])),
            ],
        );
    }

    #[test]
    fn the_names_module_answers_behind_the_wall() {
        let text = |text| Contribution::Values(vec![Value::text(text)]);
        check(
            NAMES,
            "{}",
            &[("givenName", "太郎"), ("sn", "ﾔﾏﾀﾞ")],
            &[
                ("givenName", text("太郎")),
                ("sn", text("ヤマダ")),
                ("phoneticGivenName", Contribution::None),
                ("phoneticSn", Contribution::None),
                ("displayName", text("ヤマダ 太郎")),
            ],
        );
    }

    #[test]
    fn a_wrong_configuration_is_refused_in_the_words_of_the_module() {
        let config = r#"{"flows": [{"to": "mail", "expr": "iif(True,1,2)"}]}"#;
        let error = load(DECLARATIVE, config).err().map(|error| format!("{error:?}"));
        let words = "flow 1 (to `mail`): unknown function `iif` at 1:1; did you mean `IIF`?";
        assert!(error.as_ref().is_some_and(|error| error.contains(words)), "{error:?}");
    }

    /// Loads a module and asks it about one object.
    fn check(
        module: &[u8],
        config: &str,
        attributes: &[(&str, &str)],
        expected: &[(&str, Contribution)],
    ) {
        let module = load(module, config).unwrap();
        let rule = rule(&module);
        let attributes: Vec<(AttributeName, Value)> =
            attributes.iter().map(|(name, text)| ((*name).into(), Value::text(*text))).collect();
        let input = RuleInput {
            class: "user",
            attributes: attributes
                .iter()
                .map(|(name, value)| (name, Cow::Borrowed(std::slice::from_ref(value))))
                .collect(),
            imported: vec![],
            parameters: vec![],
        };
        let generation = Generation::new(vec![Arc::new(module)]);
        let run = generation.at(Timestamp::from_unix_seconds(1_790_000_000));
        let flows = expected.iter().map(|(name, contribution)| Flow {
            attribute: (*name).into(),
            contribution: contribution.clone(),
        });
        let outcomes = run.apply(RuleId(0), &rule, &[input]);
        assert_eq!(outcomes, [RuleOutcome::Flows(flows.collect())]);
    }

    fn load(bytes: &[u8], config: &str) -> Result<LoadedModule, kakehi_host::LoadError> {
        // Time enough for the busiest machine.
        let limits = Limits { time: Duration::from_secs(60), ..Limits::default() };
        let host = Host::new(Options { workers: 1, ..Options::default() }).unwrap();
        host.load(&ModuleSpec { name: "rule", bytes, config, limits, api: None })
    }

    /// A rule that takes the module's contract as it is.
    fn rule(module: &LoadedModule) -> Rule {
        let declared = &module.contract;
        let writes = declared.writes.iter().map(|name| (name.clone(), WritePolicy::default()));
        Rule {
            tag: RuleTag("rule@corp".into()),
            name: "rule".into(),
            description: String::new(),
            direction: Direction::Inbound,
            connector: "corp".into(),
            cs_class: "user".into(),
            mv_class: "person".into(),
            precedence: 100,
            link: LinkType::Join,
            scope: Scope::default(),
            join: vec![],
            on_scope_exit: OnScopeExit::Release,
            on_delete: OnDelete::Keep,
            contract: Contract {
                reads: declared.reads.iter().cloned().collect(),
                writes: writes.collect(),
                ..Contract::default()
            },
            parameters: [].into(),
            module: ModuleIdentity {
                source: "builtin:declarative".into(),
                sha256: module.sha256.clone(),
                config_sha256: module.config_sha256.clone(),
            },
        }
    }
}

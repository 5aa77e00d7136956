//! `kakehi:rules@0.1`: its generated bindings and how the host's state answers what guests call.

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

use super::{RuleInstance, RuleModule, latest};
use crate::instance::GuestState;
use crate::log::GuestLevel;

pub(crate) use bindings::kakehi::rules::types;

pub(crate) const WIT: &str = include_str!("../../../../guest-sdk/wit/since-v0.1.0/rules.wit");

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../guest-sdk/wit/since-v0.1.0",
        world: "rule",
        // `now` is refused to rules that are not volatile.
        imports: { default: trappable },
        // What a guest is shown is copied into its memory, and nowhere else before.
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

pub(super) fn adapt(
    engine: &Engine,
    component: &Component,
) -> wasmtime::Result<Box<dyn RuleModule>> {
    let mut linker = Linker::new(engine);
    bindings::Rule::add_to_linker::<_, HasSelf<GuestState>>(&mut linker, |state| state)?;
    Ok(Box::new(bindings::RulePre::new(linker.instantiate_pre(component)?)?))
}

impl RuleModule for bindings::RulePre<GuestState> {
    fn start(&self, store: &mut Store<GuestState>) -> wasmtime::Result<Box<dyn RuleInstance>> {
        Ok(Box::new(self.instantiate(store)?))
    }
}

impl RuleInstance for bindings::Rule {
    fn describe(
        &self,
        store: &mut Store<GuestState>,
        config: &str,
    ) -> wasmtime::Result<Result<latest::Contract, String>> {
        self.call_describe(store, config)
    }

    fn apply(
        &self,
        store: &mut Store<GuestState>,
        entry: latest::Entry<'_>,
    ) -> wasmtime::Result<latest::Verdict> {
        self.call_apply(store, entry)
    }
}

impl types::Host for GuestState {}

impl bindings::kakehi::rules::host::Host for GuestState {
    fn log(
        &mut self,
        level: bindings::kakehi::rules::host::Level,
        message: String,
    ) -> wasmtime::Result<()> {
        use bindings::kakehi::rules::host::Level;
        let level = match level {
            Level::Debug => GuestLevel::Debug,
            Level::Info => GuestLevel::Info,
            Level::Warn => GuestLevel::Warn,
            Level::Error => GuestLevel::Error,
        };
        self.log.write(level, &message);
        Ok(())
    }

    fn now(&mut self) -> wasmtime::Result<i64> {
        Ok(self.now.unix_seconds()?)
    }
}

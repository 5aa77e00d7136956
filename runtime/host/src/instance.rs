//! One instance of a module: started fresh, asked for its contract, then asked about objects one by
//! one, each under its own deadline. After a [`Fault`] it is of no further use.

use std::time::Duration;

use kakehi_engine::flow::Trap;
use wasmtime::{Engine, ResourceLimiter, Store};

use crate::abi::{RuleInstance, RuleModule, latest};
use crate::engine::EPOCH_TICK;
use crate::fault::Fault;
use crate::limits::Limits;
use crate::log::InstanceLog;
use crate::text::{GUEST_TEXT_BYTES_MAX, clean};

/// Additional time for each value passed in: five times what the slowest language needs.
const TIME_PER_VALUE: Duration = Duration::from_micros(10);

/// Elements of all tables of an instance: every SDK language fits.
const TABLE_ELEMENTS_MAX: usize = 100_000;

/// Core instances of a component: Python and JavaScript have up to 20.
const INSTANCES_MAX: usize = 100;

/// Memories of a component: each takes 4 GiB of addresses, and every SDK language has one.
const MEMORIES_MAX: usize = 16;

/// Tables of a component: one for each core instance is plenty.
const TABLES_MAX: usize = INSTANCES_MAX;

/// What the host remembers of a running instance.
pub(crate) struct GuestState {
    pub(crate) log: InstanceLog,
    pub(crate) now: Now,
    memory_bytes_max: usize,
    /// Of all memories together: a component may have many.
    memory_bytes: usize,
    table_elements: usize,
    refused: Option<Refused>,
}

/// What the call under way asked for and did not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Memory,
    /// So many elements are the most of all tables together.
    TableElements(usize),
}

/// Whether a guest may ask for the instant of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Now {
    Describing,
    NotVolatile,
    /// Unix seconds.
    At(i64),
    /// A trial of a volatile rule that names no instant.
    NotGiven,
}

/// A guest asked for the instant and may not know it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NowRefused {
    #[error("called `now` while it described itself")]
    Describing,
    #[error("called `now`, but its contract does not say `volatile`")]
    NotVolatile,
    #[error("called `now`, but there is no instant to tell: give this case a `now`")]
    NotGiven,
}

impl Now {
    pub(crate) fn unix_seconds(self) -> Result<i64, NowRefused> {
        match self {
            Self::At(seconds) => Ok(seconds),
            Self::Describing => Err(NowRefused::Describing),
            Self::NotVolatile => Err(NowRefused::NotVolatile),
            Self::NotGiven => Err(NowRefused::NotGiven),
        }
    }
}

impl ResourceLimiter for GuestState {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        let allowed = total <= self.memory_bytes_max;
        if allowed {
            self.memory_bytes = total;
        }
        if !allowed {
            self.refused = Some(Refused::Memory);
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        let allowed = total <= TABLE_ELEMENTS_MAX;
        if allowed {
            self.table_elements = total;
        } else {
            self.refused = Some(Refused::TableElements(TABLE_ELEMENTS_MAX));
        }
        Ok(allowed)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

pub(crate) struct Instance {
    store: Store<GuestState>,
    rule: Box<dyn RuleInstance>,
    limits: Limits,
}

// === impl Instance ===

impl Instance {
    /// Gives a fresh instance with its contract, or with its own words on what is wrong with
    /// `config`.
    ///
    /// Errors: the start itself failed or hit a limit.
    pub(crate) fn start(
        engine: &Engine,
        module: &dyn RuleModule,
        limits: Limits,
        describe_time: Duration,
        log: InstanceLog,
        config: &str,
    ) -> Result<(Self, Result<latest::Contract, String>), Fault> {
        let mut store = Store::new(
            engine,
            GuestState {
                log,
                now: Now::Describing,
                memory_bytes_max: limits.memory_bytes,
                memory_bytes: 0,
                table_elements: 0,
                refused: None,
            },
        );
        store.limiter(|state| state);
        // It is counted anew in every call.
        store.set_hostcall_fuel(limits.output_bytes);
        let describing =
            Limits { time: describe_time, fuel: limits.fuel.map(|_| u64::MAX), ..limits };
        allow(&mut store, &describing);
        let rule = module.start(&mut store).map_err(|error| fault(&error, &describing, &store))?;
        let contract = rule
            .describe(&mut store, config)
            .map_err(|error| fault(&error, &describing, &store))?
            .map_err(|refusal| clean(&refusal, GUEST_TEXT_BYTES_MAX));
        Ok((Self { store, rule, limits }, contract))
    }

    /// Asks about one object, which has so many values.
    pub(crate) fn apply(
        &mut self,
        entry: latest::Entry<'_>,
        values: usize,
        now: Now,
    ) -> Result<latest::Verdict, Fault> {
        let values = u32::try_from(values).unwrap_or(u32::MAX);
        let limits = Limits {
            time: self.limits.time.saturating_add(TIME_PER_VALUE.saturating_mul(values)),
            ..self.limits
        };
        allow(&mut self.store, &limits);
        self.store.data_mut().now = now;
        self.rule.apply(&mut self.store, entry).map_err(|error| fault(&error, &limits, &self.store))
    }

    /// What the last call used; `None` if fuel is not counted.
    pub(crate) fn fuel_used(&self) -> Option<u64> {
        let granted = self.limits.fuel?;
        self.store.get_fuel().ok().map(|left| granted.saturating_sub(left))
    }

    /// Linear memory, all memories together.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.store.data().memory_bytes
    }
}

/// Grants one call its time and fuel.
fn allow(store: &mut Store<GuestState>, limits: &Limits) {
    store.data_mut().refused = None;
    let ticks = limits.time.as_nanos().div_ceil(EPOCH_TICK.as_nanos());
    // One more, since the tick under way may be all but over.
    store.set_epoch_deadline(u64::from(u32::try_from(ticks).unwrap_or(u32::MAX)) + 1);
    if let Some(fuel) = limits.fuel {
        store.set_fuel(fuel).expect("a rule that limits fuel runs on the metered engine");
    }
}

fn fault(error: &wasmtime::Error, limits: &Limits, store: &Store<GuestState>) -> Fault {
    Fault::new(error, limits, store.data().refused)
}

impl Fault {
    /// The same fault, met by a fresh instance: it concerns every object that waits for one.
    pub(crate) fn at_start(self) -> Self {
        let message = format!("cannot start an instance: {}", self.message);
        Self { trap: Trap::Start, message }
    }
}

//! The only wasmtime configuration: two engines, one of them metered, and the thread that ages
//! them.

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmparser::WasmFeatures;
use wasmtime::{Config, Engine};

use crate::error::HostError;
use crate::log::LogSink;
use crate::module::compile::COMPILE_TIME_DEFAULT;

/// Most objects that meet the same instance: a new one costs little more than one call, so a batch
/// of this size hardly feels it, and one that remembers can mix up no more than these.
pub const BATCH_OBJECTS_MAX: usize = 256;

/// Stack of a guest: every SDK language fits, and it fits into any thread of ours.
pub(crate) const STACK_BYTES_MAX: usize = 512 * 1024;

/// What modules may be made of: what every SDK language emits, and nothing that adds ways to use
/// the machine (threads, memories beyond 4 GiB or more than one per module, a collector of ours).
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::COMPONENT_MODEL)
    // References to the host's own objects, which it does not hand out.
    .difference(WasmFeatures::GC_TYPES);

/// Time to start an instance and describe it, both together: languages with a runtime need a
/// millisecond.
pub const DESCRIBE_TIME_DEFAULT: Duration = Duration::from_secs(5);

/// Time between two ticks of the epoch: deadlines are accurate to this.
pub(crate) const EPOCH_TICK: Duration = Duration::from_millis(10);

/// What the service decides about the host.
#[derive(Clone)]
pub struct Options {
    /// Folder for compiled modules; `None`: compile in memory at every start.
    pub cache: Option<PathBuf>,
    /// Threads over which the batches of one call are spread.
    pub workers: usize,
    /// Objects per instance.
    pub batch_objects_max: usize,
    /// How long whoever loads a module waits for the compiler.
    pub compile_time: Duration,
    /// How long an instance may take to start and describe itself.
    pub describe_time: Duration,
    /// Takes the lines that guests log.
    pub log: Option<LogSink>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache: None,
            workers: thread::available_parallelism().map_or(1, usize::from),
            batch_objects_max: BATCH_OBJECTS_MAX,
            compile_time: COMPILE_TIME_DEFAULT,
            describe_time: DESCRIBE_TIME_DEFAULT,
            log: None,
        }
    }
}

/// Both engines. As long as they live, their epochs pass.
pub(crate) struct Engines {
    plain: Engine,
    metered: Engine,
    _ticker: Ticker,
}

impl Engines {
    pub(crate) fn new() -> Result<Self, HostError> {
        let engine = |metered| {
            Engine::new(&config(metered))
                .map_err(|error| HostError::Engine { message: format!("{error:#}") })
        };
        let (plain, metered) = (engine(false)?, engine(true)?);
        let ticker = Ticker::start([plain.clone(), metered.clone()]).map_err(HostError::Ticker)?;
        Ok(Self { plain, metered, _ticker: ticker })
    }

    /// Counting fuel makes code slower, so only rules that limit it run on the engine that does.
    pub(crate) fn get(&self, metered: bool) -> &Engine {
        if metered { &self.metered } else { &self.plain }
    }
}

fn config(metered: bool) -> Config {
    let mut config = Config::new();
    config
        .wasm_features(FEATURES.complement(), false)
        .wasm_features(FEATURES, true)
        // The code between the parts of a component needs it; guests themselves are validated
        // without, before they get here.
        .wasm_features(WasmFeatures::MULTI_MEMORY, true)
        .epoch_interruption(true)
        .consume_fuel(metered)
        .max_wasm_stack(STACK_BYTES_MAX)
        // The same answer on every machine (G-05).
        .relaxed_simd_deterministic(true)
        .cranelift_nan_canonicalization(true);
    config
}

/// The thread that lets epochs pass; it ends when this is dropped.
struct Ticker {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engines: [Engine; 2]) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let tick = move || {
            while stopped.recv_timeout(EPOCH_TICK) == Err(RecvTimeoutError::Timeout) {
                engines.iter().for_each(Engine::increment_epoch);
            }
        };
        let thread = thread::Builder::new().name("kakehi-epoch".into()).spawn(tick)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // Dropping the sender wakes the thread at once.
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to report; had it panicked, the message was already printed.
            let _ = thread.join();
        }
    }
}

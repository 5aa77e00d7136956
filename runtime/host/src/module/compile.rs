//! Compiling: a component goes in, machine code comes out, or K0507. It happens on threads of its
//! own, because it cannot be interrupted and there are small modules that take it hours: whoever
//! waits gives up after a while, and what was begun goes on until it ends or the process does.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::available_parallelism;
use std::time::Duration;

use rayon::ThreadPoolBuilder;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::LoadError;
use crate::text::one_line;

/// Longest wait for the compiler: a rule in Python takes 12 s of processor time, and a machine may
/// be slow and busy.
pub const COMPILE_TIME_DEFAULT: Duration = Duration::from_secs(300);

/// Stack of a compiling thread: what a main thread has.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// Waits at most so long for the code of a component.
pub(super) fn compile(
    engine: &Engine,
    component: Vec<u8>,
    time_max: Duration,
) -> Result<Component, LoadError> {
    let fault = |why: &str| {
        LoadError::new("K0507", format!("cannot compile the module: {}", one_line(why)))
    };
    // A pool for this module alone: one that is given up holds up no other.
    let pool = ThreadPoolBuilder::new()
        .num_threads(available_parallelism().map_or(1, usize::from))
        .thread_name(|number| format!("kakehi-compile-{number}"))
        .stack_size(STACK_BYTES)
        .build()
        .map_err(|error| fault(&error.to_string()))?;
    let (sender, compiled) = mpsc::sync_channel(1);
    let engine = engine.clone();
    pool.spawn(move || {
        // A panic would otherwise end the process.
        let result = catch_unwind(AssertUnwindSafe(|| Component::new(&engine, &component)));
        // Nobody listens to one that was given up.
        let _ = sender.send(result);
    });
    match compiled.recv_timeout(time_max) {
        Ok(Ok(Ok(component))) => Ok(component),
        Ok(Ok(Err(error))) => Err(fault(&format!("{error:#}"))),
        Ok(Err(panic)) => Err(fault(&format!("the compiler failed: {}", words(&*panic)))),
        Err(RecvTimeoutError::Timeout) => {
            Err(fault(&format!("the compiler did not end within {time_max:?}"))
                .with_hint("split its largest function; few loops and variables compile fast"))
        }
        Err(RecvTimeoutError::Disconnected) => Err(fault("the compiler ended without a word")),
    }
}

/// What a panic said.
pub(super) fn words(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(words), _) => words,
        (None, Some(words)) => words,
        (None, None) => "it panicked",
    }
}

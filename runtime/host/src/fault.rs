//! What stopped a guest: wasmtime's error in, one of the engine's [`Trap`]s and a sentence out.

use kakehi_engine::flow::{RuleOutcome, Trap};
use wasmtime::Trap as WasmTrap;

use crate::engine::STACK_BYTES_MAX;
use crate::instance::{NowRefused, Refused};
use crate::limits::Limits;
use crate::text::{GUEST_TEXT_BYTES_MAX, clean, size};

/// How a guest failed, apart from saying so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) trap: Trap,
    pub(crate) message: String,
}

impl Fault {
    /// Takes: what wasmtime said, the limits in force (`limits.time` being the whole time the call
    /// was given), and what the guest had asked for in vain before it failed.
    pub(crate) fn new(error: &wasmtime::Error, limits: &Limits, refused: Option<Refused>) -> Self {
        let trap = kind(error, refused);
        let message = match trap {
            Trap::Deadline => format!("stopped after {} ms", limits.time.as_millis()),
            Trap::Stack => format!("used more than {} of stack", size(STACK_BYTES_MAX)),
            Trap::Memory => match refused {
                Some(Refused::TableElements(max)) => {
                    format!("asked for more than {max} table elements")
                }
                Some(Refused::Memory) => {
                    format!("asked for more than {} of memory", size(limits.memory_bytes))
                }
                None => cause(error),
            },
            Trap::Fuel => {
                format!("used more than {} units of fuel", limits.fuel.unwrap_or(u64::MAX))
            }
            Trap::Output => format!("answered with more than {}", size(limits.output_bytes)),
            Trap::Abi => format!("broke the calling convention: {}", cause(error)),
            Trap::Now => cause(error),
            Trap::Trap | Trap::Start | Trap::ContractChanged => {
                format!("trapped: {}", cause(error))
            }
        };
        Self { trap, message }
    }
}

/// What the engine hears of it.
pub(crate) fn trapped(Fault { trap, message }: Fault) -> RuleOutcome {
    RuleOutcome::Trapped { trap, message }
}

fn kind(error: &wasmtime::Error, refused: Option<Refused>) -> Trap {
    if error.downcast_ref::<NowRefused>().is_some() {
        return Trap::Now;
    }
    match error.downcast_ref::<WasmTrap>() {
        Some(WasmTrap::Interrupt) => Trap::Deadline,
        Some(WasmTrap::StackOverflow) => Trap::Stack,
        Some(WasmTrap::OutOfFuel) => Trap::Fuel,
        // Being refused memory only returns -1; what a guest does then, it does for want of memory.
        _ if refused.is_some() => Trap::Memory,
        Some(
            WasmTrap::CannotEnterComponent
            | WasmTrap::CannotLeaveComponent
            | WasmTrap::InvalidChar
            | WasmTrap::InvalidDiscriminant
            | WasmTrap::ListOutOfBounds
            | WasmTrap::StringOutOfBounds
            | WasmTrap::UnalignedPointer,
        ) => Trap::Abi,
        Some(_) => Trap::Trap,
        // wasmtime keeps the type of this error to itself.
        None if cause(error).contains("fuel allocated for hostcalls has been exhausted") => {
            Trap::Output
        }
        None if cause(error).starts_with("resource limit exceeded") => Trap::Memory,
        // What is no trap went wrong in reading or writing the guest's memory.
        None => Trap::Abi,
    }
}

/// The innermost cause, without the backtrace around it.
fn cause(error: &wasmtime::Error) -> String {
    let cause = error.root_cause().to_string();
    clean(cause.strip_prefix("wasm trap: ").unwrap_or(&cause), GUEST_TEXT_BYTES_MAX)
}

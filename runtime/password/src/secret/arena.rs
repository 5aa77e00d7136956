//! The memory of secrets: one mapping, locked into RAM, absent from core files and from child
//! processes. Bytes flow in once, and the cell is wiped when its owner goes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use memmap2::{Advice, MmapMut};
use zeroize::{Zeroize, Zeroizing};

/// Size of a cell: the longest password that [`seal`](crate::envelope::seal) takes.
pub const CELL_BYTES: usize = 4096;

/// Cells in all, 2 MiB. Deliveries under way are counted in dozens; the usual limit on locked
/// memory without privileges is 8 MiB.
const CELLS: usize = 512;

/// How the memory of secrets stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    pub cells: usize,
    pub cells_used: usize,
    /// How often a secret was too long, or came when all cells were taken, and was kept in ordinary
    /// memory. That is wiped as well, but may be swapped out or land in a core file.
    pub outside_total: u64,
    /// What of locked, left out of core files, left out of children could not be had, and why.
    pub failures: Vec<String>,
}

/// Where one secret is. Wiped when dropped.
pub(crate) struct Cell {
    place: Place,
    length: usize,
}

enum Place {
    /// The whole cell, which may be longer than the secret.
    Arena(&'static mut [u8]),
    Heap(Zeroizing<Vec<u8>>),
}

struct Arena {
    /// All of them zero.
    free: Mutex<Vec<&'static mut [u8]>>,
    cells: usize,
    outside_total: AtomicU64,
    failures: Vec<String>,
}

fn arena() -> &'static Arena {
    static ARENA: OnceLock<Arena> = OnceLock::new();
    ARENA.get_or_init(Arena::map)
}

pub(super) fn memory() -> Memory {
    let arena = arena();
    Memory {
        cells: arena.cells,
        cells_used: arena.cells - arena.free.lock().unwrap_or_else(PoisonError::into_inner).len(),
        outside_total: arena.outside_total.load(Ordering::Relaxed),
        failures: arena.failures.clone(),
    }
}

// === impl Arena ===

impl Arena {
    fn map() -> Self {
        let mut failures = Vec::new();
        let free = match MmapMut::map_anon(CELLS * CELL_BYTES) {
            Ok(map) => {
                // It lives as long as the process, so its cells can be handed out by safe code.
                let map = Box::leak(Box::new(map));
                if let Err(error) = map.lock() {
                    failures.push(format!(
                        "passwords may be swapped out, their memory is not locked: {error}; raise \
                         LimitMEMLOCK to 64M"
                    ));
                }
                // Children get no copy at all. Wiping on fork would do as well, but is no longer
                // told apart from a cell that was never written, and has no safe call here.
                for (advice, what) in [
                    (Advice::DontDump, "core files may contain passwords"),
                    (Advice::DontFork, "child processes inherit passwords"),
                ] {
                    if let Err(error) = map.advise(advice) {
                        failures.push(format!("{what}: {error}"));
                    }
                }
                map.chunks_exact_mut(CELL_BYTES).collect()
            }
            Err(error) => {
                failures.push(format!("passwords are kept in ordinary memory: {error}"));
                Vec::new()
            }
        };
        let cells = free.len();
        Self { free: Mutex::new(free), cells, outside_total: AtomicU64::new(0), failures }
    }
}

// === impl Cell ===

impl Cell {
    /// So many zero bytes. Nothing is refused: what does not fit is kept outside, and counted.
    pub(crate) fn zeroed(length: usize) -> Self {
        let arena = arena();
        let free = if length <= CELL_BYTES {
            arena.free.lock().unwrap_or_else(PoisonError::into_inner).pop()
        } else {
            None
        };
        let place = match free {
            Some(cell) => Place::Arena(cell),
            None => {
                arena.outside_total.fetch_add(1, Ordering::Relaxed);
                Place::Heap(Zeroizing::new(vec![0; length]))
            }
        };
        Self { place, length }
    }

    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        let mut cell = Self::zeroed(bytes.len());
        cell.bytes_mut().copy_from_slice(bytes);
        cell
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.place {
            Place::Arena(cell) => &cell[..self.length],
            Place::Heap(bytes) => bytes,
        }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.place {
            Place::Arena(cell) => &mut cell[..self.length],
            Place::Heap(bytes) => bytes,
        }
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        if let Place::Arena(cell) = &mut self.place {
            let cell = std::mem::take(cell);
            cell[..self.length].zeroize();
            arena().free.lock().unwrap_or_else(PoisonError::into_inner).push(cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One at a time: a full arena would take the cells of the others.
    static ALONE: Mutex<()> = Mutex::new(());

    #[test]
    fn a_cell_is_wiped_before_another_secret_gets_it() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        // Every free cell is looked at, since others may be taken by tests beside this one.
        for _ in 0..4 {
            drop(Cell::copy_of(&[0xa5; CELL_BYTES]));
        }
        let free = arena().free.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(!free.is_empty());
        assert!(free.iter().all(|cell| cell.iter().all(|byte| *byte == 0)));
    }

    #[test]
    fn a_full_arena_loses_nothing() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = memory().outside_total;
        let many: Vec<Cell> = (0..=CELLS).map(|n| Cell::copy_of(&n.to_be_bytes())).collect();
        for (n, cell) in many.iter().enumerate() {
            assert!(cell.bytes() == n.to_be_bytes(), "{n}");
        }
        assert!(memory().outside_total > before, "what did not fit is counted");
        drop(many);
        let long = Cell::copy_of(&[7; CELL_BYTES + 1]);
        assert!(long.bytes() == [7; CELL_BYTES + 1]);
    }

    #[test]
    fn m7_the_memory_is_locked_and_in_no_core_file() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = Cell::copy_of(b"seen by the kernel");
        let address = cell.bytes().as_ptr().addr();
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let flags = flags_of(&maps, address).expect("the cell is in a mapping");
        // dd: not in core files; dc: not in children; lo: locked.
        for flag in ["dd", "dc"] {
            assert!(flags.contains(&flag), "{flags:?}");
        }
        let told = memory().failures.iter().any(|failure| failure.contains("not locked"));
        assert!(flags.contains(&"lo") || told, "{flags:?}");
    }

    /// The flags of the mapping that an address lies in.
    fn flags_of(maps: &str, address: usize) -> Option<Vec<&str>> {
        let mut inside = false;
        for line in maps.lines() {
            let range = line.split(' ').next().and_then(|word| word.split_once('-'));
            let number = |text: &str| usize::from_str_radix(text, 16).ok();
            if let Some((Some(from), Some(to))) = range.map(|(a, b)| (number(a), number(b))) {
                inside = (from..to).contains(&address);
            } else if inside && let Some(flags) = line.strip_prefix("VmFlags:") {
                return Some(flags.split_whitespace().collect());
            }
        }
        None
    }
}

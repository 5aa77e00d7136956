//! The shell around the engine: everything that touches the world.

pub mod edge;
pub mod store;

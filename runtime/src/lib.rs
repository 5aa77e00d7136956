//! The shell around the engine: everything that touches the world. `runtime/README.md` is the map.

pub mod authoring;
pub mod cli;
pub mod config;
pub mod connector;
pub mod delivery;
pub mod edge;
pub mod generate;
pub mod manifest;
pub mod report;
pub mod scaffold;
pub mod service;
pub mod store;
pub mod sync;

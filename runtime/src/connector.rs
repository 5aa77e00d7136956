//! Sources: what a directory or a file shows flows in, batches of [`Change`](crate::edge::Change)
//! flow out. Connectors only read; none of them ever writes to a source.

mod attribute;
mod batch;
mod digest;
pub mod ldap;
pub mod ldif;
#[cfg(test)]
mod recorder;
mod wanted;

//! What an administrator reads: values, clauses and changes in words, and plans as documents.
//! Engine types and what else was found out flow in; text, JSON and HTML flow out.
//!
//! Nothing is looked up and nothing is decided here.

pub mod html;
mod pattern;
pub mod read;
pub mod tally;
pub mod words;

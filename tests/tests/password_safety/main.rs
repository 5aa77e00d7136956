//! What the password lane promises whatever happens: nothing acknowledged is lost, nothing older
//! overtakes something newer, no password is readable anywhere, nothing is left of what is purged
//! (password.md 5.4, 7.1, 7.3, 13). With the built program, killed and looked through.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod crash;
mod forms;
mod http;
mod markers;
mod office;
mod purge;

//! Passwords from end to end: real directories and services, and the program as its users run it.
//!
//! `openldap` goes from a directory to a service and a branch's directory, `bidirectional` between
//! two directories, `samba` from and to a domain controller. `office` is what they have in common.

mod bidirectional;
mod office;
mod openldap;
mod samba;

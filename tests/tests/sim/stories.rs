//! What must hold after certain histories: the cases of provisioning.md 11 and 17.1.

mod links;
mod model;
mod outbound;
mod persons;
mod revisions;

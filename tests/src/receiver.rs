//! The product's own SCIM receiver as a target of tests that need no server beside them.

use kakehi::delivery::receiver::{LoggedRequest, Receiver};
use serde_json::Value as Json;

use crate::installation::TOKEN;

pub struct InProcess(Receiver);

// === impl InProcess ===

impl InProcess {
    pub fn start() -> Self {
        Self(Receiver::start(TOKEN).expect("a free port of the loopback address"))
    }

    pub fn base_url(&self) -> String {
        self.0.base_url()
    }

    /// User names, in the order in which the users were created.
    pub fn users(&self) -> Vec<String> {
        let users = self.0.users();
        users.iter().filter_map(|user| Some(user["userName"].as_str()?.to_owned())).collect()
    }

    /// Titles of the users that have one, in the order in which the users were created.
    pub fn titles(&self) -> Vec<String> {
        let users = self.0.users();
        users.iter().filter_map(|user| Some(user["title"].as_str()?.to_owned())).collect()
    }

    pub fn all(&self) -> Vec<Json> {
        self.0.users()
    }

    pub fn groups(&self) -> Vec<Json> {
        self.0.groups()
    }

    /// How often something was to be changed.
    pub fn writes(&self) -> usize {
        self.requests().iter().filter(|request| request.method != "GET").count()
    }

    /// Everything that it was asked, in order.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.0.requests()
    }
}

//! `kakehi password retry|purge|pause|resume`: over the control socket of a running service, or on
//! the queue itself where none runs.

use std::path::Path;

pub use crate::service::passwords::operator::Verb;

use super::settings;
use crate::cli::{Outcome, render};
use crate::service::control::{self, Request};
use crate::service::failure::{Failure, Kind};
use crate::service::passwords::operator::{self, Order};

/// Which passwords are meant.
#[derive(clap::Args)]
pub struct Meant {
    /// Those for this target only
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Those of this user only: the name at the source, or the key that `list` shows
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// All there are
    #[arg(long, conflicts_with_all = ["target", "user"])]
    all: bool,
}

pub fn operate(config: &Path, verb: Verb, meant: Meant) -> Outcome {
    let config = settings(config)?;
    if !meant.all && meant.target.is_none() && meant.user.is_none() {
        let failure = Failure::new(Kind::Usage, "K0290", "which passwords are meant?");
        return Err(failure.hint("name `--user`, `--target` or both, or say `--all`").into());
    }
    let target = meant.target.as_deref();
    if let Some(target) = target.filter(|name| !super::of(&config).targets.contains_key(*name)) {
        let known = super::of(&config).targets.keys().map(|name| format!("`{name}`"));
        let known: Vec<String> = known.collect();
        let failure = Failure::new(Kind::Usage, "K0290", format!("there is no target `{target}`"));
        return Err(failure.hint(format!("there are {}", known.join(", "))).into());
    }
    let order = Order { verb, target: meant.target, user: meant.user };
    if let Some(answer) = control::ask(&config.control, &Request::Password(order.clone()))? {
        return render::answer(&answer);
    }
    render::answer(&operator::on_queue(&config, &order)?)
}

//! Match before create (delivery.md 5): what is to be added is first looked for at the target.

use std::collections::BTreeMap;

use kakehi_engine::connector_space::CsId;
use kakehi_engine::export::Export;
use kakehi_engine::object::{AttributeName, ClassName, ConnectorName, Value};

use crate::edge::{MatchKeys, RemoteObject, TargetReader};
use crate::sync::report::{Report, StageName};
use crate::sync::{Parts, SyncError, blocking, meter::Meter};

/// Adds that are looked up at once.
const LOOK_UPS_MAX: usize = 1000;

/// Looks up every add that was not looked up yet. Gives whether something was found, so that rules
/// have to be asked again. A target that cannot be read leaves its adds unmatched, and so unsent.
pub(crate) async fn look_up(
    parts: &Parts<'_>,
    targets: &[&dyn TargetReader],
    report: &mut Report,
) -> Result<bool, SyncError> {
    let meter = Meter::start();
    let mut found_any = false;
    for target in targets {
        loop {
            let adds = blocking(|| parts.store.unmatched(target.name(), LOOK_UPS_MAX))?;
            if adds.is_empty() || parts.stop.is_set() {
                break;
            }
            let mut failed = false;
            for (class, adds) in by_class(adds) {
                let wanted: Vec<MatchKeys> =
                    adds.iter().map(|add| match_keys(parts, target.name(), add)).collect();
                match target.find(&class, &wanted).await {
                    Ok(found) => found_any |= take(parts, target.name(), &adds, found)?,
                    Err(error) => {
                        report.target_failed(&error);
                        failed = true;
                        break;
                    }
                }
            }
            if failed {
                break;
            }
        }
    }
    report.measured(StageName::Match, &meter);
    Ok(found_any)
}

fn by_class(adds: Vec<Export>) -> BTreeMap<ClassName, Vec<Export>> {
    let mut classes: BTreeMap<ClassName, Vec<Export>> = BTreeMap::new();
    for add in adds {
        classes.entry(add.class.clone()).or_default().push(add);
    }
    classes
}

/// The values of an add by which the target is searched, in the order of the class.
pub(crate) fn match_keys(parts: &Parts<'_>, target: &ConnectorName, add: &Export) -> MatchKeys {
    let class = parts.rules.connector(target).and_then(|target| target.classes.get(&add.class));
    let Some(class) = class else { return vec![] };
    let value = |name: &AttributeName| {
        let change = add.changes.iter().find(|change| change.attribute == *name)?;
        let values = change.replace.as_ref().unwrap_or(&change.add);
        values.first().and_then(Value::as_text).map(std::borrow::Cow::into_owned)
    };
    class.match_by.iter().filter_map(|name| Some((name.clone(), value(name)?))).collect()
}

fn take(
    parts: &Parts<'_>,
    target: &ConnectorName,
    adds: &[Export],
    found: Vec<Vec<RemoteObject>>,
) -> Result<bool, SyncError> {
    let objects: Vec<RemoteObject> = found.iter().flatten().cloned().collect();
    let any = !objects.is_empty();
    blocking(|| {
        let mut ids = parts.store.stage_target(target, &objects, &parts.rules)?.into_iter();
        let looked_up: Vec<(CsId, Vec<CsId>)> = adds
            .iter()
            .zip(&found)
            .map(|(add, found)| (add.object, ids.by_ref().take(found.len()).collect()))
            .collect();
        parts.store.matched(&looked_up)
    })?;
    Ok(any)
}

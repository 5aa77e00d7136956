//! What a plan does, counted while its exports pass by: exact numbers of everything, and a few of
//! each kind in full.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::pattern;

/// Exports of one kind that are shown in full, unless all are wanted.
pub const SAMPLED_MAX: usize = 50;

/// Of those that take something away: an administrator reads them one by one.
const DESTRUCTIVE_SAMPLED_MAX: usize = 500;

/// Patterns of changed values that are told.
const PATTERNS_TOLD_MAX: usize = 20;

/// A number and some of those who were counted.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    pub count: u64,
    pub some: Vec<Json>,
}

#[derive(Clone, Debug)]
pub struct Tally {
    /// Whether every export is kept.
    all: bool,
    /// By target and operation.
    pub exports: BTreeMap<(String, String), Sample>,
    /// Members that a group loses, by target and group: the group's export.
    pub member_removals: BTreeMap<(String, String), (u64, Json)>,
    /// Single values that are cleared, by target, type and attribute.
    pub clears: BTreeMap<(String, String, String), Sample>,
    /// Written attributes, by target, rule and attribute.
    pub writes: BTreeMap<(String, String, String), u64>,
    /// Why objects go, by target, operation and cause.
    pub causes: BTreeMap<(String, String, String), u64>,
    patterns: BTreeMap<(String, String, String), (u64, [String; 2])>,
}

// === impl Sample ===

impl Sample {
    fn take(&mut self, one: Json, most: usize) {
        self.count += 1;
        if self.some.len() < most {
            self.some.push(one);
        }
    }

    /// How many there are beyond those that are kept.
    pub fn more(&self) -> u64 {
        self.count.saturating_sub(self.some.len() as u64)
    }
}

// === impl Tally ===

impl Tally {
    pub fn new(all: bool) -> Self {
        Self {
            all,
            exports: BTreeMap::new(),
            member_removals: BTreeMap::new(),
            clears: BTreeMap::new(),
            writes: BTreeMap::new(),
            causes: BTreeMap::new(),
            patterns: BTreeMap::new(),
        }
    }

    /// Takes the document of one export.
    pub fn take(&mut self, export: &Json) {
        let text = |key: &str| export[key].as_str().unwrap_or_default().to_owned();
        let (connector, op, class) = (text("connector"), text("op"), text("class"));
        for change in list(&export["changes"]) {
            let attribute = change["attribute"].as_str().unwrap_or_default().to_owned();
            let rule = change["rule"].as_str().unwrap_or("(no rule)").to_owned();
            *self.writes.entry((connector.clone(), rule, attribute.clone())).or_default() += 1;
            if op != "add" {
                self.look_closely(export, &connector, &class, &attribute, change);
            }
        }
        if let Some(cause) = export["cause"].as_str() {
            let key = (connector.clone(), op.clone(), cause.to_owned());
            *self.causes.entry(key).or_default() += 1;
        }
        let most = match op.as_str() {
            _ if self.all => usize::MAX,
            "delete" | "disable" | "rename" => DESTRUCTIVE_SAMPLED_MAX,
            _ => SAMPLED_MAX,
        };
        self.exports.entry((connector, op)).or_default().take(export.clone(), most);
    }

    fn look_closely(
        &mut self,
        export: &Json,
        connector: &str,
        class: &str,
        attribute: &str,
        change: &Json,
    ) {
        let removed = list(&change["remove"]).len() as u64;
        if removed > 0 {
            let group = export["match"].as_str().unwrap_or_default();
            let key = (connector.to_owned(), format!("{group}\u{0}{attribute}"));
            let kept = self.member_removals.entry(key).or_insert_with(|| {
                let of = json!({
                    "name": group, "class": class, "attribute": attribute,
                    "old_count": change["old_count"], "removed": change["remove"],
                });
                (0, of)
            });
            kept.0 += removed;
        }
        if change["clear"] == Json::Bool(true) {
            let one = json!({
                "name": export["match"], "old": change["old"], "rule": change["rule"],
                "losers": change["losers"],
            });
            let key = (connector.to_owned(), class.to_owned(), attribute.to_owned());
            let most = if self.all { usize::MAX } else { SAMPLED_MAX };
            self.clears.entry(key).or_default().take(one, most);
        }
        if let (Some(old), Some(new)) = (single(&change["old"]), single(&change["replace"]))
            && let Some(found) = pattern::of(old, new)
        {
            let key = (connector.to_owned(), attribute.to_owned(), found);
            let entry = self.patterns.entry(key);
            entry.or_insert_with(|| (0, [old.to_owned(), new.to_owned()])).0 += 1;
        }
    }

    /// The most frequent first: target, attribute, pattern, number, an example before and after.
    pub fn patterns(&self) -> Vec<Json> {
        // What happens once is no pattern.
        let mut all: Vec<_> = self.patterns.iter().filter(|(_, (count, _))| *count > 1).collect();
        all.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(a.0.cmp(b.0)));
        let mut told = vec![];
        for ((connector, attribute, pattern), (count, [old, new])) in
            all.into_iter().take(PATTERNS_TOLD_MAX)
        {
            told.push(json!({
                "connector": connector, "attribute": attribute, "pattern": pattern,
                "count": count, "example": {"old": old, "new": new},
            }));
        }
        told
    }

    /// The numbers without the samples.
    pub fn to_json(&self) -> Json {
        let removals = self.member_removals.iter().map(|((connector, _), (count, of))| {
            let mut body = json!({"connector": connector, "count": count});
            for key in ["name", "class", "attribute", "old_count"] {
                body[key] = of[key].clone();
            }
            body
        });
        let clears = self.clears.iter().map(|((connector, class, attribute), sample)| {
            json!({
                "connector": connector, "class": class, "attribute": attribute,
                "count": sample.count,
            })
        });
        let writes = self.writes.iter().map(|((connector, rule, attribute), count)| {
            json!({
                "connector": connector, "rule": rule, "attribute": attribute, "count": count,
            })
        });
        let causes = self.causes.iter().map(|((connector, op, cause), count)| {
            json!({"connector": connector, "op": op, "cause": cause, "count": count})
        });
        json!({
            "causes": causes.collect::<Vec<_>>(),
            "member_removals": removals.collect::<Vec<_>>(),
            "cleared": clears.collect::<Vec<_>>(),
            "writes": writes.collect::<Vec<_>>(),
            "patterns": self.patterns(),
        })
    }
}

fn list(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn single(values: &Json) -> Option<&str> {
    match list(values) {
        [Json::String(text)] => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(name: &str, changes: &Json) -> Json {
        json!({"connector": "cloud", "op": "update", "class": "User", "match": name,
               "changes": changes})
    }

    #[test]
    fn p18_numbers_are_exact_and_rows_are_samples() {
        let mut tally = Tally::new(false);
        for number in 0..120 {
            let (old, new) = (format!("u{number}@old.example"), format!("u{number}@new.example"));
            let change = json!([{"attribute": "mail", "old": [old], "replace": [new],
                                 "rule": "Out", "clear": false}]);
            tally.take(&update(&format!("u{number}"), &change));
        }
        let sample = &tally.exports[&("cloud".to_owned(), "update".to_owned())];
        assert_eq!((sample.count, sample.some.len(), sample.more()), (120, SAMPLED_MAX, 70));
        let patterns = tally.patterns();
        assert_eq!((patterns.len(), &patterns[0]["count"]), (1, &json!(120)));
        assert_eq!(patterns[0]["pattern"], "domain @old.example -> @new.example");
    }

    #[test]
    fn p05_member_removals_are_counted_per_group_and_clears_per_attribute() {
        let mut tally = Tally::new(false);
        tally.take(&update(
            "sales",
            &json!([{"attribute": "members", "remove": ["a", "b"],
                                             "add": [], "old_count": 7}]),
        ));
        tally.take(&update(
            "ann",
            &json!([{"attribute": "title", "clear": true, "old": ["Dr."],
                                           "replace": []}]),
        ));
        let body = tally.to_json();
        assert_eq!(body["member_removals"][0]["count"], 2);
        assert_eq!(body["member_removals"][0]["old_count"], 7);
        assert_eq!(body["cleared"][0]["attribute"], "title");
    }
}

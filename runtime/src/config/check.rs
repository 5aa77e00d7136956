//! Checks that many keys share: ranges, and values that are weaker than the default.

use std::fmt::Display;

use super::finding::Findings;
use super::yaml::At;

/// A value outside the range that makes sense.
const OUT_OF_RANGE: &str = "K0110";
/// A safety value that is weaker than its default.
pub(super) const WEAKENED: &str = "K0150";

/// One key with its default and its range.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<T> {
    pub default: T,
    pub min: T,
    pub max: T,
}

/// Gives the value, or the default where none is written or the value is out of range.
pub(super) fn within<T: PartialOrd + Display + Copy>(
    findings: &mut Findings,
    key: &str,
    given: Option<At<T>>,
    bounds: &Bounds<T>,
) -> T {
    let Some(At { value, mark }) = given else { return bounds.default };
    if value < bounds.min || value > bounds.max {
        let Bounds { default, min, max } = bounds;
        findings
            .error(OUT_OF_RANGE, format_args!("`{key}` is `{value}`, out of range"))
            .at(mark)
            .hint(format!("from `{min}` to `{max}`; the default is `{default}`"));
        return bounds.default;
    }
    value
}

/// As [`within`], and warns of a value beyond the default: it lets more through than it should.
pub(super) fn limit<T: PartialOrd + Display + Copy>(
    findings: &mut Findings,
    key: &str,
    given: Option<At<T>>,
    bounds: &Bounds<T>,
) -> T {
    let mark = given.as_ref().map(|at| at.mark);
    let value = within(findings, key, given, bounds);
    if let Some(mark) = mark.filter(|_| value > bounds.default) {
        let default = bounds.default;
        findings
            .warning(WEAKENED, format_args!("`{key}` is `{value}`, weaker than its default"))
            .at(mark)
            .hint(format!("the default is `{default}`"));
    }
    value
}

//! The numbers that stand in rows for the engine's closed enumerations, both ways.

use kakehi_engine::connector_space::{LinkOrigin, Presence};
use kakehi_engine::view::Phase;

use super::failure::{Failure, Result};
use crate::store::Wave;

pub(super) const IMPORTED: i64 = 0;
pub(super) const EXPORT_ONLY: i64 = 1;
pub(super) const PLACEHOLDER: i64 = 2;
pub(super) const DELETED: i64 = 3;

/// Problems of decoding: they belong to neither half of a pass.
pub(super) const PHASE_IMPORT: i64 = 0;
pub(super) const PHASE_INBOUND: i64 = 1;
pub(super) const PHASE_OUTBOUND: i64 = 2;

/// Between the waves of disabling and of updating there is one for each rank of adds.
const WAVE_ADD_FIRST: i64 = 1;
const WAVE_ADD_LAST: i64 = WAVE_ADD_FIRST + u8::MAX as i64;
const WAVE_UPDATE: i64 = WAVE_ADD_LAST + 1;
const WAVE_REFERENCES: i64 = WAVE_ADD_LAST + 2;
const WAVE_DELETE: i64 = WAVE_ADD_LAST + 3;

pub(super) fn presence(code: i64) -> Result<Presence> {
    match code {
        IMPORTED => Ok(Presence::Imported),
        EXPORT_ONLY => Ok(Presence::ExportOnly),
        PLACEHOLDER => Ok(Presence::Placeholder),
        DELETED => Ok(Presence::Deleted),
        other => Err(Failure::damaged("presence", other)),
    }
}

pub(super) fn presence_code(presence: Presence) -> i64 {
    match presence {
        Presence::Imported => IMPORTED,
        Presence::ExportOnly => EXPORT_ONLY,
        Presence::Placeholder => PLACEHOLDER,
        Presence::Deleted => DELETED,
    }
}

pub(super) fn origin(code: i64) -> Result<LinkOrigin> {
    match code {
        0 => Ok(LinkOrigin::Joined),
        1 => Ok(LinkOrigin::Projected),
        2 => Ok(LinkOrigin::Provisioned),
        other => Err(Failure::damaged("link origin", other)),
    }
}

pub(super) fn origin_code(origin: LinkOrigin) -> i64 {
    match origin {
        LinkOrigin::Joined => 0,
        LinkOrigin::Projected => 1,
        LinkOrigin::Provisioned => 2,
    }
}

pub(super) fn phase_code(phase: Phase) -> i64 {
    match phase {
        Phase::Inbound => PHASE_INBOUND,
        Phase::Outbound => PHASE_OUTBOUND,
    }
}

/// In the order of the numbers: SQL sorts by them.
pub(super) fn wave(code: i64) -> Result<Wave> {
    match code {
        0 => Ok(Wave::Disable),
        WAVE_ADD_FIRST..=WAVE_ADD_LAST => Ok(Wave::Add((code - WAVE_ADD_FIRST) as u8)),
        WAVE_UPDATE => Ok(Wave::Update),
        WAVE_REFERENCES => Ok(Wave::References),
        WAVE_DELETE => Ok(Wave::Delete),
        other => Err(Failure::damaged("wave", other)),
    }
}

pub(super) fn wave_code(wave: Wave) -> i64 {
    match wave {
        Wave::Disable => 0,
        Wave::Add(rank) => WAVE_ADD_FIRST + i64::from(rank),
        Wave::Update => WAVE_UPDATE,
        Wave::References => WAVE_REFERENCES,
        Wave::Delete => WAVE_DELETE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_sort_by_their_numbers() {
        let waves = [
            Wave::Disable,
            Wave::Add(0),
            Wave::Add(1),
            Wave::Add(u8::MAX),
            Wave::Update,
            Wave::References,
            Wave::Delete,
        ];
        let codes = waves.map(wave_code);
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
        assert_eq!(codes.map(|code| wave(code).unwrap()), waves);
    }
}

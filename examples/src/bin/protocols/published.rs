//! BlueTrace's published mode, over the same exchanges as the classic one.

use gcs_core::identifiers::bluetrace;
use gcs_core::sync::Heard;
use gcs_examples::Checked;

use crate::bluetrace::{Authority, Phones};
use crate::radio::Exchange;
use crate::reports::{LATER, Report, elsewhere, in_town, recorded};
use crate::town::Town;
use crate::trial::{Replay, Trial};
use crate::truth;

/// The trial of published mode, over the same exchanges.
pub(crate) fn trial<'t>(
    town: &'t Town,
    exchanges: &[Exchange],
    authority: &Authority,
    phones: &Phones<'_>,
) -> Checked<Trial<'t>> {
    let report = |person: u64, time: u64, who: Option<usize>| {
        let elements = authority.publish(person, town.first, time)?;
        // The patient's phone sends nothing: the authority knows the keys.
        Ok(Report { time, bytes: 0, elements, person: who })
    };
    let of_town = in_town(town).map(|(person, time)| report(person as u64, time, Some(person)));
    let others = elsewhere(town).map(|(person, time)| report(person, time, None));
    let reports = of_town.chain(others).collect::<Checked<_>>()?;
    let (who, time) = recorded(town);
    let temp_id = phones.temp_id(who, time)?;
    let replay = |later: &u64| {
        let clock = time + later;
        let elements = bluetrace::sighting_elements(&authority.hai, &temp_id, clock);
        let heard = |element: [u8; 32]| Heard { time: clock, element: element.into() };
        let is_found = truth::replay_is_found(bluetrace::WINDOW_SECONDS, time, *later);
        Replay { heard: elements.map(heard).collect(), is_found }
    };
    Ok(Trial {
        name: "BlueTrace, published",
        town,
        heard: phones.heard(),
        reports,
        expected: truth::published(town, exchanges),
        replays: LATER.iter().map(replay).collect(),
    })
}

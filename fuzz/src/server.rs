//! Inputs of the server from apps and from its own log: codes, reports, events.

use std::collections::BTreeMap;

use gcs_core::Date;
use gcs_core::identifiers::dp3t::HybridWindow;
use gcs_core::report::{
    Code, Item, ItemProblem, ItemRules, Kinds, MAX_ITEMS, MAX_PUBLISH_KEYS, PublishRequest,
    ReceivedReport,
};
use gcs_server::domain::events::Event;

/// The input is a text. If it is a code, the text that shows it is the same code, however it is
/// typed, and is not that code any more when any one symbol is changed.
pub fn code(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(code) = text.parse::<Code>() else { return };
    let shown = code.to_string();
    assert_eq!(shown.parse(), Ok(code));
    assert_eq!(shown.to_lowercase().replace('-', " ").parse(), Ok(code));
    for at in (0..shown.len()).filter(|at| shown.as_bytes()[*at] != b'-') {
        let mut other = shown.clone();
        let symbol = if &shown[at..=at] == "7" { "8" } else { "7" };
        other.replace_range(at..=at, symbol);
        assert!(other.parse::<Code>().is_err(), "{other}");
    }
}

/// The input is a kind and a body. An event that can be read is the same after it is written and
/// read again.
pub fn event(data: &[u8]) {
    let Some((kind, body)) = data.split_first_chunk() else { return };
    let kind = u16::from_le_bytes(*kind);
    let Ok(event) = Event::decode(kind, body) else { return };
    assert_eq!(event.kind(), kind);
    assert_eq!(Event::decode(kind, &event.encode()), Ok(event));
}

/// When reports arrive: the sixth of January 2026, at noon.
const NOW: u64 = 1_767_700_800;

/// What is accepted brings no more elements than it may, and those that were counted.
fn accepted(items: &[Result<Item, ItemProblem>]) {
    let rules = ItemRules {
        kinds: Kinds::ALL,
        hybrid: HybridWindow::FourHours,
        retention_days: 14,
        publication_delay: 9000,
        max_elements_per_date: 300,
    };
    let accepted = rules.accept(items, NOW);
    assert!(accepted.items.len() + accepted.problems.len() <= items.len());
    let (mut counted, mut derived) = (BTreeMap::<Date, u32>::new(), BTreeMap::new());
    for item in &accepted.items {
        item.counts(NOW).for_each(|(date, count)| *counted.entry(date).or_default() += count);
        item.elements(NOW).for_each(|(date, _)| *derived.entry(date).or_default() += 1);
    }
    counted.retain(|_, count| *count > 0);
    assert_eq!(counted, derived);
    assert!(derived.values().all(|count| *count <= rules.max_elements_per_date));
}

/// The input is the body of a report, or of keys that are published. Limits hold, and the same JSON
/// written differently is the same report.
pub fn report(data: &[u8]) {
    if let Ok(publication) = PublishRequest::from_json(data) {
        assert!(publication.report.items.len() <= MAX_PUBLISH_KEYS);
        accepted(&publication.report.items);
    }
    let Ok(submission) = ReceivedReport::from_json(data) else { return };
    accepted(&submission.items);
    assert!(submission.items.len() <= MAX_ITEMS);
    // A value that is nested too deep for this reader is no item, and is not tested further.
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(data) else { return };
    let items = json["items"].as_array().expect("it has items");
    assert_eq!(items.len(), submission.items.len());
    let again = serde_json::to_vec_pretty(&json).expect("it is JSON");
    let again = ReceivedReport::from_json(&again).expect("the same JSON");
    assert_eq!(again.code, submission.code);
    // A value that is no item may become one: this reader keeps the last of two equal names.
    for (item, again) in submission.items.iter().zip(&again.items) {
        assert!(item.is_err() || item == again);
    }
    if submission.items == again.items {
        assert_eq!(again.payload, submission.payload);
    }
}

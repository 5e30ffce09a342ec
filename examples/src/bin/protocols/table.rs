//! What the simulation prints: a table of the protocols beside each other, and what was measured
//! of BlueTrace alone.

use gcs_examples::traffic::Traffic;

use crate::classic::{Expired, Learned};
use crate::contacts::{Agreement, false_alarms, is_found, long_meetings};
use crate::reports::ELSEWHERE;
use crate::town::{DAYS, PEOPLE, Town};
use crate::trial::Figures;

/// What was measured of BlueTrace alone.
pub(crate) struct BlueTrace {
    pub(crate) learned: Learned,
    pub(crate) agreement: Agreement,
    /// Bytes of the TempIDs that a phone fetches in a day.
    pub(crate) temp_ids: u64,
}

/// The whole text.
pub(crate) fn text(town: &Town, figures: &[Figures], bluetrace: &BlueTrace) -> String {
    let mut lines = head(&[
        "protocol",
        "meetings found",
        "false alarms",
        "alarms by a replay",
        "false hits at 2^-8",
        "the server learns",
    ]);
    lines.push(classic_found(town, &bluetrace.learned));
    lines.extend(figures.iter().map(|of| found(town, of)));
    lines.push(String::new());
    lines.extend(head(&[
        "protocol",
        "a patient sends",
        "a phone fetches a day",
        "of it TempIDs, manifests, bundles, check records",
        "if it syncs every 6 hours",
        "elements published",
        "the day's secrets, raw",
    ]));
    let temp_ids = bluetrace.temp_ids;
    let (sent, fetched) = (bytes(bluetrace.learned.sent), bytes(temp_ids));
    lines.push(format!(
        "| {CLASSIC} | {sent} | {fetched} | {fetched}, 0 B, 0 B, 0 B | {fetched} | none | - |"
    ));
    lines.extend(figures.iter().map(|of| sizes(of, temp_ids)));
    lines.push(String::new());
    lines.extend(notes(town, bluetrace));
    lines.join("\n") + "\n"
}

const CLASSIC: &str = "BlueTrace, classic";

fn head(columns: &[&str]) -> Vec<String> {
    vec![format!("| {} |", columns.join(" | ")), format!("|{}", "---|".repeat(columns.len()))]
}

fn found(town: &Town, figures: &Figures) -> String {
    let found = long_meetings(town)
        .filter(|(person, meeting)| is_found(town, *person, meeting, &figures.contacts[*person]));
    let (hits, expected) = figures.coarse;
    let learns = if is_bluetrace(figures) {
        "no contacts; which of its users are patients"
    } else {
        "no contacts; which identifiers one patient had"
    };
    format!(
        "| {} | {} of {} | {} | {} of {} | {hits}, {expected:.0} expected | {learns} |",
        figures.name,
        found.count(),
        long_meetings(town).count(),
        false_alarms(town, &figures.contacts),
        figures.replayed.0,
        figures.replayed.1,
    )
}

fn classic_found(town: &Town, learned: &Learned) -> String {
    let found =
        long_meetings(town).filter(|(person, meeting)| learned.knows(town, *person, meeting));
    format!(
        "| {CLASSIC} | {} of {} | {} | {} of {} | - | whom each patient met, and when: {} people on \
         average |",
        found.count(),
        long_meetings(town).count(),
        learned.false_alarms,
        learned.replayed.0,
        learned.replayed.1,
        learned.people(),
    )
}

fn is_bluetrace(figures: &Figures) -> bool {
    figures.name.starts_with("BlueTrace")
}

fn sizes(figures: &Figures, temp_ids: u64) -> String {
    let temp_ids = if is_bluetrace(figures) { temp_ids } else { 0 };
    let Traffic { manifests, bundles, sets, confirmations, .. } = figures.eager;
    let parts = [temp_ids, manifests, bundles + sets, confirmations].map(bytes);
    let secrets = if is_bluetrace(figures) { "-".into() } else { bytes(figures.sent_by_all) };
    format!(
        "| {} | {} | {} | {} | {} | {} | {secrets} |",
        figures.name,
        bytes(figures.sent),
        bytes(figures.eager.total() + temp_ids),
        parts.join(", "),
        bytes(figures.seldom.total() + temp_ids),
        count(figures.elements),
    )
}

fn notes(town: &Town, bluetrace: &BlueTrace) -> Vec<String> {
    let Learned { records, expired, heard, .. } = &bluetrace.learned;
    let Agreement { both, only_classic, only_published, neither } = bluetrace.agreement;
    let Expired { ios, offline, clocks } = *expired;
    let number = |number| count(number as u64);
    vec![
        format!(
            "{PEOPLE} people with phones for {DAYS} days, {} of them patients; {ELSEWHERE} patients \
             a day elsewhere report to the same authority. A tick each hour.",
            heard.len(),
        ),
        format!(
            "BlueTrace's authority opened {} records of the patients. In {} the TempID was not \
             valid: {} of the app for iOS, {} of phones that had long had no network, {} because \
             clocks differ.",
            number(*records),
            number(ios + offline + clocks),
            number(ios),
            number(offline),
            number(clocks),
        ),
        format!(
            "BlueTrace's two modes, over {} meetings: {both} found by both, {only_classic} by \
             classic alone, {only_published} by published alone, {neither} by neither.",
            long_meetings(town).count(),
        ),
    ]
}

/// A number of bytes in a unit that fits.
fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.2} MB", bytes as f64 / 1e6),
    }
}

/// A number with a comma between thousands.
fn count(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", count(number / 1_000), number % 1_000),
    }
}

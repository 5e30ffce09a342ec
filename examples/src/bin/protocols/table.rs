//! What the simulation prints: a table of the protocols beside each other, and what was measured
//! of BlueTrace alone.

use crate::checks::COARSE_BITS;
use crate::classic::{Agreement, Learned};
use crate::handset::Spans;
use crate::town::{DAYS, Meeting, PEOPLE, Town};
use crate::trial::{ELSEWHERE, Figures};

/// Seconds of a meeting that counts.
pub(crate) const LONG: u64 = 15 * 60;

/// What was measured of BlueTrace alone.
pub(crate) struct BlueTrace {
    pub(crate) learned: Learned,
    pub(crate) agreement: Agreement,
    /// Bytes of the TempIDs that a phone fetches in a day.
    pub(crate) temp_ids: u64,
}

/// The whole text.
pub(crate) fn text(town: &Town, figures: &[Figures], bluetrace: &BlueTrace) -> String {
    let head = "| protocol | a patient sends | a phone fetches a day, hourly | every 6 hours | \
                the same day as secrets, raw | elements | meetings found | false alarms | \
                alarms by a replay | false hits at 2^-8 |";
    let mut lines = vec![head.to_owned(), format!("|{}", "---|".repeat(10))];
    lines.push(classic(town, figures, bluetrace));
    lines.extend(figures.iter().map(|of| row(town, of, bluetrace)));
    lines.push(String::new());
    lines.extend(notes(town, bluetrace));
    lines.join("\n") + "\n"
}

/// The meetings with patients that last long enough, with the person who met the patient.
fn long_meetings(town: &Town) -> impl Iterator<Item = (usize, &Meeting)> {
    let of = |person| town.with_patients(person).map(move |meeting| (person, meeting));
    let is_long = |(_, meeting): &(_, &Meeting)| meeting.time.end - meeting.time.start >= LONG;
    (0..PEOPLE).flat_map(of).filter(is_long)
}

fn row(town: &Town, figures: &Figures, bluetrace: &BlueTrace) -> String {
    let is_bluetrace = figures.name.starts_with("BlueTrace");
    let more = if is_bluetrace { bluetrace.temp_ids } else { 0 };
    let meetings = long_meetings(town).count();
    let found = long_meetings(town)
        .filter(|(person, meeting)| overlap(town, *person, meeting, &figures.contacts[*person]));
    let (alarmed, strangers) = figures.replayed;
    let (hits, expected) = figures.coarse;
    let secrets = if is_bluetrace { "-".into() } else { bytes(figures.sent_by_all) };
    format!(
        "| {} | {} | {} | {} | {secrets} | {} | {} of {meetings} | {} | {alarmed} of {strangers} \
         | {hits}, {expected:.0} expected |",
        figures.name,
        bytes(figures.sent),
        bytes(figures.eager + more),
        bytes(figures.seldom + more),
        count(figures.elements),
        found.count(),
        false_alarms(town, &figures.contacts),
    )
}

fn classic(town: &Town, figures: &[Figures], bluetrace: &BlueTrace) -> String {
    let BlueTrace { learned, temp_ids, .. } = bluetrace;
    let meetings = long_meetings(town).count();
    let found = long_meetings(town).filter(|(person, meeting)| {
        learned.heard.iter().any(|(patient, heard)| {
            let clock = |time| town.people[*patient].clock(time);
            let time = clock(meeting.time.start)..=clock(meeting.time.end);
            meeting.people.contains(patient)
                && heard.iter().any(|(at, heard)| heard == person && time.contains(at))
        })
    });
    let strangers = figures.first().map_or(0, |figures| figures.replayed.1);
    format!(
        "| BlueTrace, classic | {} | {} | {} | - | - | {} of {meetings} | 0 | 0 of {strangers} | - |",
        bytes(learned.sent),
        bytes(*temp_ids),
        bytes(*temp_ids),
        found.count(),
    )
}

fn notes(town: &Town, bluetrace: &BlueTrace) -> Vec<String> {
    let BlueTrace { learned, agreement, temp_ids } = bluetrace;
    let Agreement { both, only_classic, only_published, neither } = agreement;
    let patients = learned.heard.len();
    vec![
        format!(
            "{PEOPLE} people and their phones for {DAYS} days, {patients} patients among them; \
             {ELSEWHERE} patients a day elsewhere report to the same authority; a tick each hour.",
        ),
        format!(
            "BlueTrace, classic: the authority opened {} records of whom patients met and when, {} \
             of them of {} TempIDs.",
            count(learned.records as u64),
            count(learned.expired as u64),
            "expired",
        ),
        format!(
            "BlueTrace's two modes, over {} meetings: {both} found by both, {only_classic} by \
             classic alone, {only_published} by published alone, {neither} by neither.",
            both + only_classic + only_published + neither,
        ),
        format!("A BlueTrace phone fetches {} of TempIDs a day in both modes.", bytes(*temp_ids)),
        format!(
            "False hits at 2^-{COARSE_BITS}: of phones that met no patient, before a check record \
             refutes them. Meetings: of {} minutes or more, by person, {} of them.",
            LONG / 60,
            long_meetings(town).count()
        ),
    ]
}

/// Whether a contact covers some of a meeting.
fn overlap(town: &Town, person: usize, meeting: &Meeting, contacts: &Spans) -> bool {
    let clock = |time| town.people[person].clock(time);
    let (start, end) = (clock(meeting.time.start), clock(meeting.time.end));
    contacts.iter().any(|(first, last)| *first <= end && start <= *last)
}

/// Contacts of people who were not near a patient then.
fn false_alarms(town: &Town, contacts: &[Spans]) -> usize {
    let is_false = |person: usize, contact: &(u64, u64)| {
        !town.with_patients(person).any(|meeting| overlap(town, person, meeting, &vec![*contact]))
    };
    let of = |(person, contacts): (usize, &Spans)| {
        contacts.iter().filter(|contact| is_false(person, contact)).count()
    };
    contacts.iter().enumerate().map(of).sum()
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

//! Seeds: valid files to begin with, so that a fuzzer need not find magics and hashes.

use data_encoding::BASE64;
use gcs_core::files::{Path, Table};
use gcs_core::identifiers::dp3t::HybridWindow;
use gcs_core::identifiers::tcn::{MemoType, ReportAuthorizationKey};
use gcs_core::publish::{Publisher, PublisherSettings};
use gcs_core::report::{Code, GaenKey, Kind, Kinds, ProviderKey};
use gcs_core::report::{Item, ItemProblem};
use gcs_core::{Delta, HashRange, Salt, Set};
use gcs_server::domain::events;
use gcs_server::domain::events::CodeId;
use gcs_server::domain::events::Event;
use gcs_server::domain::policy::{
    ExportPolicy, FirstPolicy, FourthPolicy, Policy, SecondPolicy, ThirdPolicy,
};

use crate::history::{History, Tick, before, keys};
use crate::identifiers;
use crate::reader::join;
use crate::world::{Days, date, element};
use crate::{export_lists, seed_files, seed_lists};

/// A name and an input.
pub type Seed = (String, Vec<u8>);

/// The seeds of a target; none if there is no such target.
pub fn of(target: &str) -> Vec<Seed> {
    match target {
        "set" => named(sets().iter().map(|set| set.as_bytes().to_vec())),
        "set_resealed" => named(sets().iter().map(|set| unsealed(set.as_bytes()))),
        "set_index" => named(set_indexes()),
        "delta" => named(deltas().iter().map(|(old, delta)| join(old.as_bytes(), delta))),
        "delta_resealed" => {
            let parts =
                |(old, delta): &(Set, Vec<u8>)| join(&unsealed(old.as_bytes()), &unsealed(delta));
            named(deltas().iter().map(parts))
        }
        "delta_of_sets" => named(numbers().chain(runs())),
        "seed_list" => named(seed_lists::seeds::lists()),
        "seed_delta" => named(seed_lists::seeds::deltas()),
        "seed_index" => named(seed_files::seeds::indexes()),
        "seed_bundle" => named(seed_files::seeds::bundles()),
        "export_list" => named(export_lists::seeds::lists()),
        "table" => {
            let tables = History::get().ticks.iter().step_by(10).map(|tick| tick.table.to_bytes());
            named(tables.chain([Table::default().to_bytes()]))
        }
        "index" => {
            let ticks = History::get().ticks.iter().step_by(6);
            let of_tick = |tick: &Tick| tick.files[&tick.index().to_string()].clone();
            named(ticks.map(of_tick))
        }
        "bundle" | "bundle_resealed" => {
            let of_last = History::get().last().version;
            let is_some = |path: Path| match path {
                Path::Bundle { span, to, .. } => span > 1 || to % 4 == 1 || to == of_last.tick,
                _ => false,
            };
            named(files_of(1, is_some))
        }
        "record" => named(records()),
        "manifest" => {
            let manifests = files_of(20, |path| path == Path::Manifest);
            named(manifests.into_iter().chain([keys().key_list.to_json().into_bytes()]))
        }
        "manifest_resealed" => {
            named(files_of(20, |path| path == Path::Manifest).iter().map(|bytes| payload(bytes)))
        }
        "path" => {
            let texts = paths().into_iter().map(String::into_bytes);
            named(texts.chain(numbers()).chain(export_lists::seeds::paths()))
        }
        "date" => {
            let texts = ["1970-01-01", "2020-02-29", "2100-02-28", "9999-12-31", "2023-02-29"];
            named(texts.map(|text| text.as_bytes().to_vec()).into_iter().chain(numbers()))
        }
        "exact" => named(requests().map(String::into_bytes)),
        "publisher" => {
            let saved = publishers().into_iter().chain(export_lists::seeds::publishers());
            named(saved.map(|saved| unsealed(&saved.to_bytes())))
        }
        "sync" => named(scripts()),
        "code" => named([code(), code().to_lowercase().replace('-', "")].map(String::into_bytes)),
        "event" => named(
            events().map(|event| [&event.kind().to_le_bytes(), event.encode().as_slice()].concat()),
        ),
        "report" => named(reports().map(String::into_bytes)),
        "temp_id" => named(identifiers::seeds::temp_ids()),
        "packet" => named(identifiers::seeds::packets()),
        "upload" => named(identifiers::seeds::uploads()),
        "export" => named(identifiers::seeds::exports()),
        "export_zip" => named(identifiers::seeds::export_zips()),
        "tcn_report" => named(identifiers::seeds::tcn_reports()),
        _ => Vec::new(),
    }
}

fn named(inputs: impl IntoIterator<Item = Vec<u8>>) -> Vec<Seed> {
    let inputs = inputs.into_iter().enumerate();
    inputs.map(|(number, input)| (format!("seed-{number:02}"), input)).collect()
}

fn unsealed(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() - 32].to_vec()
}

/// Bytes that look random, the same every time.
fn noise(number: u64, len: usize) -> Vec<u8> {
    (0..).flat_map(|at| element(number * 1000 + at)).take(len).collect()
}

fn set_of(range: u64, values: impl IntoIterator<Item = u64>) -> Set {
    let range = HashRange::new(range).expect("a legal range");
    let values = values.into_iter().filter(|value| *value < range.get());
    Set::from_fingerprints(Salt([7; 16]), range, values).expect("below the range")
}

/// Sets of every kind: none and one, dense, planned, in clusters with long runs between.
fn sets() -> Vec<Set> {
    let max = HashRange::MAX.get();
    let planned = HashRange::for_expected(200, 20).expect("a legal plan");
    let elements = (0..200).map(element);
    vec![
        set_of(1, []),
        set_of(1, [0]),
        set_of(max, [0, max - 1]),
        set_of(300, 0..300),
        set_of(300, (0..300).step_by(2)),
        set_of(1 << 30, (0..20).chain((1 << 30) - 5..1 << 30)),
        set_of(100_000, (0..280).chain([99_990])),
        set_of(max, (0..40).map(|at| (max / 50) * at)),
        Set::build(Salt([9; 16]), planned, elements).expect("few elements"),
    ]
}

/// Described sets, each with changes of every kind to its files and the index of another set.
fn set_indexes() -> impl Iterator<Item = Vec<u8>> {
    let run = |kind: u8, gap: u64, count: u16| {
        [&[kind][..], &gap.to_le_bytes(), &count.to_le_bytes()].concat()
    };
    let described =
        |shift: u8, runs: &[Vec<u8>]| [&[7][..], &[0xff; 8], &[shift], &runs.concat()].concat();
    let sets = [
        described(0, &[]),
        described(0, &[run(1, 1 << 60, 3)]),
        described(37, &[run(1, 1 << 15, 1_000), run(1, 0, 900), run(1, 1 << 16, 1_000)]),
    ];
    let mut index = Vec::new();
    set_of(1 << 20, (0..600).map(|i| i * i)).write_index(&mut index).expect("into memory");
    let change = |kind: u8, at: u16, len: u8| [&[kind][..], &at.to_le_bytes(), &[len]].concat();
    let copy = [change(5, 128, 32), 160u16.to_le_bytes().to_vec()].concat();
    let changes = [
        vec![],
        change(0, 100, 1),
        change(1, 130, 128),
        [change(3, 150, 9), change(2, 60, 9)].concat(),
        copy,
        change(7, 200, 9),
    ];
    let inputs = sets.into_iter().flat_map(move |set| {
        let changes = changes.clone().into_iter();
        changes.map(move |changes| join(&set, &join(&changes, &[])))
    });
    let of_another = join(&described(40, &[]), &join(&[], &index));
    inputs.chain([of_another])
}

/// Bases, and deltas from them.
fn deltas() -> Vec<(Set, Vec<u8>)> {
    let pair = |old: Set, new: Set| {
        let delta = Delta::between(&old, &new).expect("salt and range are the same");
        (old, delta.into_inner())
    };
    vec![
        pair(set_of(1, []), set_of(1, [0])),
        pair(set_of(500, 0..500), set_of(500, [])),
        pair(set_of(500, []), set_of(500, (0..500).step_by(3))),
        pair(set_of(500, 0..400), set_of(500, 300..500)),
        pair(
            set_of(1 << 40, 0..30),
            set_of(1 << 40, (0..30).step_by(7).chain(1 << 39..(1 << 39) + 9)),
        ),
        pair(
            set_of(1 << 20, (0..1 << 20).step_by(9999)),
            set_of(1 << 20, (0..1 << 20).step_by(6666)),
        ),
    ]
}

/// Inputs of numbers alone.
fn numbers() -> impl Iterator<Item = Vec<u8>> {
    [1, 8, 60, 300].into_iter().enumerate().map(|(at, len)| noise(at as u64, len))
}

/// Descriptions of sets of many values: some in both, some in one; of three densities.
fn runs() -> impl Iterator<Item = Vec<u8>> {
    [(1u32, 39), (1000, 25), (1 << 30, 0)].into_iter().map(|(gap, shift)| {
        let run = |kind: u8| [&[kind][..], &gap.to_le_bytes(), &1500u16.to_le_bytes()].concat();
        let runs = [12, 13, 14, 15].map(run).concat().repeat(2);
        [&[0xff; 24][..], &[shift], &runs].concat()
    })
}

/// The files of every n-th tick, each file once.
fn files_of(every: usize, is_wanted: impl Fn(Path) -> bool) -> Vec<Vec<u8>> {
    let ticks = History::get().ticks.iter().step_by(every);
    let files =
        ticks.flat_map(|tick| &tick.files).filter(|(path, _)| path.parse().is_ok_and(&is_wanted));
    let mut found: Vec<Vec<u8>> = Vec::new();
    for (_, bytes) in files {
        if !found.contains(bytes) {
            found.push(bytes.to_vec());
        }
    }
    found
}

/// Inputs with the record asked for, the record that comes, one of its elements, and changes.
fn records() -> Vec<Vec<u8>> {
    vec![
        vec![0, 0, 5],
        vec![1, 1, 100],
        vec![2, 2, 200],
        vec![0, 1, 0],
        vec![3, 2, 0],
        vec![0, 0, 0, 2, 56, 0, 0, 2, 57, 0, 0, 2, 58, 0, 0, 2, 59, 0, 0, 2, 60, 0, 0],
        vec![1, 1, 8, 1, 0, 0, 0, 1, 1, 0, 0, 1, 2, 0, 0, 1, 11, 0, 255],
    ]
}

/// The payload of an envelope.
fn payload(envelope: &[u8]) -> Vec<u8> {
    let envelope: serde_json::Value = serde_json::from_slice(envelope).expect("JSON");
    let payload = envelope["payload"].as_str().expect("an envelope");
    BASE64.decode(payload.as_bytes()).expect("base64")
}

/// One path of every kind.
fn paths() -> Vec<String> {
    let mut paths: Vec<String> = History::get().last().files.keys().cloned().collect();
    let kind = |path: &String| path.split('/').nth(2).map(str::to_string);
    paths.dedup_by_key(|path| kind(path));
    paths
}

fn requests() -> impl Iterator<Item = String> {
    let query = |length: usize| {
        let element = BASE64.encode(&noise(9, length));
        format!(r#"{{"date":"{}","element":"{element}"}}"#, date(2))
    };
    let lists = [String::new(), query(16), format!("{}, {}", query(64), query(33)), query(15)];
    lists.into_iter().map(|list| format!(r#"{{"queries":[{list}]}}"#))
}

/// Publishers before the first tick, after one tick, after a few, and in the next series.
fn publishers() -> Vec<Publisher> {
    let first = Publisher::new(PublisherSettings::default(), 1);
    let mut world = before(first.clone(), 3, date(4).start() + 2700, Days::new());
    let mut publishers = vec![first];
    for number in 3..9 {
        let day = |at| (date(at), (number..number + at + 2).map(element).collect());
        world.days = (0..2).map(day).collect();
        world.publish();
        publishers.push(world.publisher.clone());
    }
    publishers.push(publishers[6].next_series());
    publishers.into_iter().step_by(2).collect()
}

/// Scripts: every kind of fault of the mirror, then of the folder, at several places.
fn scripts() -> Vec<Vec<u8>> {
    let mirror = (0..12).map(|kind| {
        let wake = |number: u8| [0x10 * (number % 4 + 1), 1, 0, 0, kind, kind, 1, kind, 0, 0];
        [&[kind * 16 + 1][..], &(0..5).flat_map(wake).collect::<Vec<_>>()].concat()
    });
    let folder = (0..16).map(|kind| {
        let wake = |number: u8| {
            let mut bytes = [0; 40];
            let fault = if number % 2 == 1 { 0x10 } else { 0 };
            bytes[..2].copy_from_slice(&[0x10 * (number % 3 + 1), 1 | fault]);
            bytes[2 + usize::from(number) * 3] = kind;
            bytes
        };
        [&[0][..], &(0..6).flat_map(wake).collect::<Vec<_>>()].concat()
    });
    let clock = (0..4).map(|clock| [0, 0x10, 0x49, clock, 0, 0, 0, 0, 0x10, 1, 0, 0].repeat(3));
    let honest = [vec![], vec![0; 40], [0, 0x10, 1, 0, 0, 0, 0, 0, 0].repeat(9), noise(5, 400)];
    honest.into_iter().chain(clock).chain(mirror).chain(folder).collect()
}

fn code() -> String {
    let key = ProviderKey::derive(&[7; 32], 300, 1);
    Code::issue(&key, 300, 77).expect("small numbers").to_string()
}

/// An item of each kind.
fn items() -> [Item; 6] {
    let key = ReportAuthorizationKey::new([4; 32]);
    let report = key.report(2, 9, MemoType::CoEpi, b"memo").expect("a short memo");
    let key = GaenKey { days_since_onset: Some(-3), ..GaenKey::new([3; 16], 2_946_240, 144) };
    let windows = HybridWindow::FourHours;
    [
        Item::Dp3tUnlinkable { epoch: 1_965_000, seed: [5; 32] },
        Item::Raw { date: date(0), element: vec![6; 16].into() },
        Item::Dp3tLowCost { date: date(0), key: [1; 32] },
        Item::Dp3tHybrid { windows, window: 122_760, seed: [2; 16] },
        Item::Tcn { date: date(0), report },
        Item::Gaen(key),
    ]
}

/// Bodies of reports: every kind of item, and every kind of value that is no item.
fn reports() -> impl Iterator<Item = String> {
    let code = code();
    let seed = BASE64.encode(&[5; 32]);
    let seed = format!(r#"{{"kind":"dp3t-unlinkable","epoch":1965000,"seed":"{seed}"}}"#);
    let raw =
        format!(r#"{{"kind":"raw","date":"2026-01-05","element":"{}"}}"#, BASE64.encode(&[6; 16]));
    let of_kind = |item: &Item| serde_json::to_string(item).expect("an item");
    let mut items =
        vec!["".to_owned(), seed.clone(), raw.clone(), format!("{seed},{raw},null,[[1]],{{}}")];
    items.extend(self::items()[2..].iter().map(of_kind));
    let published = publication(&code);
    let reports =
        items.into_iter().map(move |items| format!(r#"{{"code":"{code}","items":[{items}]}}"#));
    reports.chain([published])
}

/// A body as apps send it to Apple's and Google's key server.
fn publication(code: &str) -> String {
    let key = |byte, start| {
        let key = BASE64.encode(&[byte; 16]);
        format!(
            r#"{{"key":"{key}","rollingStartNumber":{start},"rollingPeriod":144,"transmissionRisk":3}}"#
        )
    };
    let keys = [key(1, 2_946_240), key(2, 2_946_384), key(3, 2_946_384)].join(",");
    format!(
        r#"{{"temporaryExposureKeys":[{keys}],"healthAuthorityID":"x","verificationPayload":"{code}","hmacKey":"","symptomOnsetInterval":2946000,"traveler":false,"revisionToken":"AAAA","padding":"AAAA","reportType":"likely"}}"#
    )
}

fn exports() -> ExportPolicy {
    ExportPolicy {
        region: "NL".to_owned(),
        interval: 14_400,
        key_id: "204".to_owned(),
        key_version: "v1".to_owned(),
    }
}

fn fourth_policy() -> FourthPolicy {
    FourthPolicy {
        rate_bits: 20,
        expected_per_date: 1000,
        interval: 900,
        min_reports: 10,
        max_hold: 7200,
        retention_days: 14,
        kinds: Kinds::ALL,
        hybrid_hours: 4,
        max_elements_per_date: 512,
        max_code_days: 400,
        max_open_codes: 100_000,
        max_filler: 100_000,
        gaen_authority: "nl.example".to_owned(),
        seeds: Kinds::of(&[Kind::Gaen]),
    }
}

fn third_policy() -> ThirdPolicy {
    ThirdPolicy {
        rate_bits: 20,
        expected_per_date: 1000,
        interval: 900,
        min_reports: 10,
        max_hold: 7200,
        retention_days: 14,
        kinds: Kinds::ALL,
        hybrid_hours: 4,
        max_elements_per_date: 512,
        max_code_days: 400,
        max_open_codes: 100_000,
        max_filler: 100_000,
        gaen_authority: "nl.example".to_owned(),
    }
}

fn second_policy() -> SecondPolicy {
    SecondPolicy {
        rate_bits: 20,
        expected_per_date: 1000,
        interval: 900,
        min_reports: 10,
        max_hold: 7200,
        retention_days: 14,
        raw: false,
        max_items_per_date: 256,
        max_code_days: 400,
        max_open_codes: 100_000,
        max_filler: 100_000,
    }
}

fn first_policy() -> FirstPolicy {
    FirstPolicy {
        rate_bits: 20,
        expected_per_date: 1000,
        interval: 900,
        min_reports: 10,
        max_hold: 7200,
        retention_days: 14,
        raw: false,
        max_items_per_date: 256,
        max_code_days: 400,
        max_open_codes: 100_000,
    }
}

/// An event of every kind.
fn events() -> impl Iterator<Item = Event> {
    let code = CodeId { provider: 300, generation: 2, serial: 77 };
    let items = items().to_vec();
    let problems = vec![(3, ItemProblem::DateTooOld)];
    let token = [8; 32];
    let signed = "{}".to_owned();
    [
        events::Deployment { id: [1; 16], root: [2; 32], master_check: [3; 32] }.into(),
        events::PolicySet { policy: Policy { exports: Some(exports()), ..Policy::default() } }
            .into(),
        events::KeyListSet { signed }.into(),
        events::OperatorTokenSet { token }.into(),
        events::ProviderAdded { provider: 300, name: "City".to_owned(), token }.into(),
        events::ProviderStatusSet { provider: 300, status: events::ProviderStatus::Revoked }.into(),
        events::ProviderTokenSet { provider: 300, token }.into(),
        events::ProviderKeyRaised { provider: 300, generation: 2 }.into(),
        events::RangeOpened { provider: 300, generation: 2, first: 0, count: 100, expires: 9 }
            .into(),
        events::PresentRangeClosed { provider: 300, first: 0 }.into(),
        events::CodeRevoked { code }.into(),
        events::ReportAccepted { code, payload: [4; 32], tracking: [5; 16], items, problems }
            .into(),
        events::Correction {
            act: events::Act::Reinstate,
            reports: vec![12, 900],
            selection: "x".to_owned(),
        }
        .into(),
        events::TickMade { series: 1, number: 200 }.into(),
        events::FirstSeriesStarted { series: 2 }.into(),
        events::ClockResumed {}.into(),
        events::Purge { reports: vec![12], used: vec![code] }.into(),
        events::BackendTokenSet { token }.into(),
        events::LogRecovered { series: 300, generation: 301, void_codes: true }.into(),
        events::KeyRenewed { provider: 300, generation: 2 }.into(),
        events::RangeClosed { provider: 300, generation: 2, first: 0 }.into(),
        events::FirstPolicySet { policy: first_policy() }.into(),
        events::SecondPolicySet { policy: second_policy() }.into(),
        events::ThirdPolicySet { policy: third_policy() }.into(),
        events::FourthPolicySet { policy: fourth_policy() }.into(),
        events::SeriesStarted { series: 2 }.into(),
        events::BlueTraceBegun { hai: "SG_OTC".to_owned(), keys: [1; 32] }.into(),
        events::UserRegistered { number: 6_591_234_567, id: [2; 21], token }.into(),
        events::UserTokenSet { user: 300, token }.into(),
        events::UserWithdrawn { user: 300 }.into(),
        events::ShortCodeMade { user: 300, code, expires: 9 }.into(),
        events::CodeBound { user: 300, code }.into(),
        upload().into(),
        events::UploadUndone { case: 300 }.into(),
        events::TracerTokenSet { token }.into(),
        events::CaseSeen { case: 300 }.into(),
        events::DayKeysAdvanced { date: date(0) }.into(),
        events::BlueTracePurge { events: vec![12, 900], used: vec![code] }.into(),
    ]
    .into_iter()
}

fn upload() -> events::UploadAccepted {
    let sighting = events::Sighting {
        user: 300,
        time: 1_767_600_000,
        rssi: Some(-70),
        tx_power: None,
        expired: true,
    };
    let foreign = events::ForeignSighting {
        hai: "NZ_MOH".to_owned(),
        msg: "msg".to_owned(),
        time: 1_767_600_000,
        rssi: None,
    };
    events::UploadAccepted {
        case: 300,
        digest: [4; 32],
        piece: 0,
        pieces: 2,
        counts: events::VerdictCounts::default(),
        sightings: vec![sighting],
        foreign: vec![foreign],
    }
}

//! Clocks that leap both ways under load and between runs, by minutes, hours and days: no report is lost,
//! no code is used up, nothing is published at a wrong time, and everything goes on when the clock is right.

use std::fs;
use std::io::Write as _;

use data_encoding::HEXLOWER;
use gcs_core::files::Manifest;
use gcs_core::{Date, PublicKey, Version};
use gcs_server::domain::policy::Policy;
use serde_json::Value;

use crate::books::{Fate, Findings, Uses};
use crate::common::api::ask;
use crate::rig::{Beside, Rig, send};
use crate::server::{Server, agent, kill_process, now};
use crate::shim::Shim;
use crate::watch::Watch;
use crate::{Dice, LEAST_LOAD, is_long, rounds};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Rounds on one folder.
const LIFE: usize = 10;

/// Seconds by which the time of a publication may be off that of the test.
const TOLERANCE: u64 = 60;

#[test]
fn nothing_is_lost_or_used_up_by_a_clock_that_leaps() {
    if !can_notice() {
        return;
    }
    let (dice, shim) = (Dice::new("clocks"), Shim::new());
    let wanted = rounds(6);
    let mut tally = Tally::default();
    while tally.rounds < wanted {
        live(&dice, &shim, LIFE.min(wanted - tally.rounds), &mut tally);
        println!("clocks: {tally}");
    }
    assert!(tally.void <= tally.rounds, "too many rounds were void: {tally}");
}

/// The harness finds a server that judges by a wrong clock: one that has lost its anchor, in a leap that
/// the log says nothing against.
#[test]
fn a_server_without_its_anchor_judges_by_a_wrong_clock() {
    if !can_notice() {
        return;
    }
    let (dice, shim) = (Dice::new("anchor"), Shim::new());
    let home = tempfile::tempdir().unwrap();
    let (mut rig, server) = begin(&shim, home.path());
    let began = now();
    server.stop().unwrap();
    fs::remove_file(rig.folder.join("anchor")).unwrap();
    let leap = DAY - 10 * MINUTE;
    shim.set_clock(leap);
    let mut server = rig.start(&shim.settings()).unwrap();
    let by_wrong_clock = |watch: &Watch| {
        watch.until(LEAST_LOAD);
        shim.set_clock(0);
        watch.until_postponed(1);
    };
    rig.load(&server, &dice, Beside { ticks: true, retractions: 0 }, by_wrong_clock);
    server.kill();
    let server = rig.start(&shim.settings()).unwrap();
    let mut findings = rig.check(&server, &dice);
    expect_dated(&rig, &server.root, began, Version { series: 0, tick: 0 }, &mut findings);
    let has = |what: &str| findings.wrong.iter().any(|wrong| wrong.contains(what));
    assert!(has("is dated") && has("no tick: "), "{findings}");
    // For some minutes of a day no date expires by this leap.
    let expires =
        |date: Date| date.is_expired(began + leap as u64, Policy::default().retention_days);
    assert!(has("good items were refused") || !rig.oldest.is_some_and(expires), "{findings}");
}

/// What many rounds came to.
#[derive(Debug, Default)]
struct Tally {
    rounds: usize,
    void: usize,
    leaps: usize,
    kills: usize,
    /// Reports that were acknowledged, and that were postponed, under load.
    acknowledged: usize,
    postponed: usize,
    publications: usize,
    findings: Findings,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tally { rounds, void, leaps, kills, acknowledged, postponed, publications, findings } =
            self;
        write!(
            f,
            "{rounds} rounds ({void} void), {leaps} leaps, {kills} kills while the clock was wrong or right; \
             {acknowledged} reports acknowledged, {postponed} postponed, {publications} publications dated; \
             comparisons: {findings}"
        )
    }
}

/// A leap of the clock is noticed only where it has been trusted.
fn can_notice() -> bool {
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let can = seconds > 660.0;
    if !can {
        // Not captured, as what the macros print of a test that passes.
        let _heard = writeln!(
            std::io::stderr(),
            "NOT TESTED: leaps of the clock: this machine booted less than eleven minutes ago"
        );
    }
    can
}

/// A deployment by whose reports a wrong clock is found: they have items of the oldest date there is.
fn begin(shim: &Shim, folder: &std::path::Path) -> (Rig, Server) {
    shim.set_clock(0);
    let (mut rig, server) = Rig::begin(folder, &shim.settings()).unwrap();
    rig.oldest = Some(oldest());
    (rig, server)
}

/// The oldest date that is accepted for some time yet.
pub fn oldest() -> Date {
    let Policy { retention_days, max_hold, interval, .. } = Policy::default();
    let by = now() + 600 + max_hold + 2 * interval;
    let mut oldest = Date::of_time(now());
    while let Some(before) = oldest.previous().filter(|date| !date.is_expired(by, retention_days)) {
        oldest = before;
    }
    oldest
}

/// Some rounds on a new folder.
fn live(dice: &Dice, shim: &Shim, rounds: usize, tally: &mut Tally) {
    let home = tempfile::tempdir().unwrap();
    let (mut rig, mut server) = begin(shim, home.path());
    let mut last = Version { series: 0, tick: 0 };
    let mut done = 0;
    while done < rounds {
        let began = now();
        let is_whole = leap_under_load(&mut rig, &mut server, shim, dice, tally);
        let mut findings = rig.check(&server, dice);
        let (version, dated) = expect_dated(&rig, &server.root, began, last, &mut findings);
        last = version;
        tally.publications += dated;
        assert!(findings.is_well(), "{findings}\n{}", server.logged());
        tally.findings.add(&findings);
        tally.rounds += usize::from(is_whole);
        tally.void += usize::from(!is_whole);
        done += usize::from(is_whole);
        if is_long() {
            println!("clocks: {tally}");
        }
    }
    let findings = rig.finish(server, dice);
    assert!(findings.is_well(), "{findings}");
    tally.findings.add(&findings);
}

/// How far the clock leaps: by minutes, hours or days, either way.
fn draw(dice: &Dice) -> i64 {
    let (unit, least, most) =
        [(MINUTE, 6, 59), (HOUR, 1, 23), (DAY, 1, 40)][dice.below(3) as usize];
    let size = unit * (least + dice.below(most - least as u64 + 1) as i64) + dice.below(60) as i64;
    if dice.below(2) == 0 { size } else { -size }
}

/// Lets the clock leap under load, and perhaps between two runs. Afterwards it is right. False if there
/// was too little load.
fn leap_under_load(
    rig: &mut Rig,
    server: &mut Server,
    shim: &Shim,
    dice: &Dice,
    tally: &mut Tally,
) -> bool {
    let beside = Beside { ticks: dice.below(2) == 0, retractions: dice.below(3) };
    let (target, leaps) = (LEAST_LOAD + dice.below(50) as usize, 1 + dice.below(3));
    let (stays, is_killed) = (dice.below(2) == 0, dice.below(2) == 0);
    let process = server.child.id();
    let mut postponed = true;
    let leap = |watch: &Watch| {
        watch.until(target);
        for leap in 1..=leaps {
            shim.set_clock(draw(dice));
            postponed &= watch.until_postponed(10 + dice.below(40) as usize);
            if leap < leaps || !stays {
                shim.set_clock(0);
                watch.until_more(10);
            }
        }
        if is_killed {
            kill_process(process);
        }
    };
    let acknowledged = rig.load(server, dice, beside, leap);
    tally.leaps += leaps as usize;
    tally.acknowledged += acknowledged;
    tally.postponed += rig.postponed();
    if is_killed {
        server.kill();
        tally.kills += 1;
        // The clock may leap while no server runs.
        let is_wrong = dice.below(2) == 0;
        shim.set_clock(if is_wrong { draw(dice) } else { 0 });
        tally.leaps += usize::from(is_wrong);
        *server = rig.start(&shim.settings()).unwrap_or_else(|error| panic!("in a leap: {error}"));
        if is_wrong {
            in_doubt(rig, server, dice);
        }
    } else if stays {
        in_doubt(rig, server, dice);
    }
    shim.set_clock(0);
    let report = rig.draw(dice);
    let fate = Fate::of(send(&agent(), server, &report).as_ref());
    assert!(matches!(fate, Fate::Acknowledged(_)), "{fate:?}\n{}", server.logged());
    rig.note(report, fate);
    acknowledged >= LEAST_LOAD && postponed
}

/// What a server says while the clock is in doubt.
fn in_doubt(rig: &mut Rig, server: &Server, dice: &Dice) {
    let ready = ask(server.private, "GET", "/readyz", &[], "");
    let said = ready.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(ready.status == 503 && said.contains("the clock was set"), "{ready:?}");
    let tick = server.operate("POST", "/v1/admin/tick", Value::Null);
    let (status, code) = tick.refused();
    // The last tick before the leap may not be published yet.
    assert!(status == 409 && ["clock_moved", "tick_pending"].contains(&code.as_str()), "{code}");
    let agent = agent();
    let accepted = rig.books.codes.values().flat_map(Uses::accepted);
    for entry in accepted.take(20) {
        let again = Fate::of(send(&agent, server, &entry.report).as_ref());
        assert_eq!(again, entry.fate, "another answer while the clock is in doubt");
    }
    for _ in 0..5 {
        let report = rig.draw(dice);
        let fate = Fate::of(send(&agent, server, &report).as_ref());
        assert_eq!(fate, Fate::Postponed, "{}", server.logged());
        rig.note(report, fate);
    }
}

/// Every publication after `last` has a time in order, between that of the beginning and now. Returns the newest one, and
/// how many there were.
pub fn expect_dated(
    rig: &Rig,
    root: &str,
    began: u64,
    last: Version,
    findings: &mut Findings,
) -> (Version, usize) {
    let root = HEXLOWER.decode(root.as_bytes()).unwrap();
    let root = PublicKey(root.try_into().unwrap());
    let mut manifests = Vec::new();
    for entry in fs::read_dir(rig.folder.join("public/v1/manifests")).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        // One that a kill left half written is not under its name yet.
        let Ok(Manifest { series, tick, issued, .. }) = Manifest::verify_file(&bytes, &root) else {
            continue;
        };
        manifests.push((Version { series, tick }, issued));
    }
    manifests.sort_unstable();
    let is_new = |(version, _): &&(Version, u64)| *version > last;
    let right = began - TOLERANCE..=now() + TOLERANCE;
    for (version, issued) in manifests.iter().filter(is_new).filter(|(_, at)| !right.contains(at)) {
        findings.wrong(format!("{version:?} is dated {issued}, not {right:?}"));
    }
    for pair in manifests.windows(2).filter(|pair| pair[1].1 < pair[0].1) {
        findings.wrong(format!("{:?} is earlier than {:?}", pair[1], pair[0]));
    }
    let newest = manifests.last().map_or(last, |(version, _)| *version);
    (newest, manifests.iter().filter(is_new).count())
}

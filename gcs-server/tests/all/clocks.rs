//! A server whose clock leaps while the machine runs: nothing is judged by it, nothing is used up, and
//! everything goes on when it is right again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use gcs_server::domain::problem::Problem;
use gcs_server::domain::state::State;
use serde_json::Value;

use crate::common::home::Home;
use crate::common::raw;
use crate::common::server::{Answer, Server, ago, ask, noon, seed};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Leaps that the log alone would not notice, and some that it would.
const LEAPS: [i64; 10] =
    [301, -301, HOUR, -HOUR, 23 * HOUR, -23 * HOUR, 2 * DAY, -2 * DAY, 40 * DAY, -40 * DAY];

/// A server on a machine that has run for an hour.
fn server() -> Server {
    let home = Home::at(noon());
    home.uptime.store(3600, Ordering::SeqCst);
    *home.boot.lock().unwrap() = Some("a boot".to_owned());
    Server::start(Arc::new(home), "")
}

fn set(server: &Server, by: i64) {
    server.home.set(server.home.now().saturating_add_signed(by));
}

fn tick(server: &Server) -> Answer {
    server.operate("POST", "/v1/admin/tick", Value::Null)
}

fn resume(server: &Server) -> Answer {
    server.operate("POST", "/v1/admin/clock/resume?drop_dates=true", Value::Null)
}

/// What is wrong, or nothing.
fn ready(server: &Server) -> Result<(), String> {
    let ready = ask(server.private, "GET", "/readyz", &[], "");
    let said = || ready.json()["detail"].as_str().unwrap().to_owned();
    if ready.status == 200 { Ok(()) } else { Err(said()) }
}

fn doubt() -> (u16, String) {
    (503, "clock_doubt".to_owned())
}

#[test]
fn a_leap_while_the_machine_runs_uses_nothing_up() {
    let server = server();
    let (_, token) = server.provider("City");
    let codes = server.codes(&token, LEAPS.len() as u32 + 2);
    let first = server.report(&codes[0], vec![seed(ago(1), 1)]).ok();
    tick(&server).ok();
    for (leap, code) in LEAPS.iter().zip(&codes[1..]) {
        set(&server, *leap);
        let before = server.status()["position"].clone();
        // Whatever the time, a retry gets its first answer.
        assert_eq!(server.report(&codes[0], vec![seed(ago(1), 1)]).ok(), first);
        // The oldest date would be dropped, or the newest be in the future.
        let items = || vec![seed(ago(13), 2), seed(ago(0), 3), seed(ago(2), 4)];
        let refused = server.report(code, items());
        assert_eq!(refused.refused(), doubt(), "{leap}");
        assert_eq!(refused.header("retry-after"), "10");
        let body = serde_json::json!({ "count": 1, "valid_days": 1 });
        let range = server.provide(&token, "POST", "/v1/provider/ranges", body);
        assert_eq!(range.refused(), doubt(), "{leap}");
        let moved = (409, "clock_moved".to_owned());
        assert_eq!(tick(&server).refused(), moved, "{leap}");
        assert_eq!(server.operate("POST", "/v1/admin/series", Value::Null).refused(), moved);
        let said = ready(&server).unwrap_err();
        let way = if *leap > 0 { "ahead" } else { "back" };
        assert!(said.contains(&format!("set {} seconds {way}", leap.abs())), "{leap}: {said}");
        assert_eq!(server.status()["position"], before, "{leap}");
        // Put right, nothing is left of it.
        set(&server, -leap);
        server.pass(1);
        assert_eq!(ready(&server), Ok(()));
        let accepted = server.report(code, items()).ok();
        assert_eq!(
            (&accepted["accepted"], &accepted["problems"]),
            (&3.into(), &Value::Array(vec![]))
        );
        tick(&server).ok();
    }
}

/// Small steps, as time services make them, are no leap.
#[test]
fn a_small_step_is_no_leap() {
    let server = server();
    let (_, token) = server.provider("City");
    let codes = server.codes(&token, 4);
    for (by, code) in [-300, 300, 300, -300].into_iter().zip(&codes) {
        set(&server, by);
        server.report(code, vec![seed(ago(1), 1)]).ok();
    }
}

#[test]
fn the_operators_word_ends_doubt() {
    let server = server();
    let (_, token) = server.provider("City");
    let codes = server.codes(&token, 3);
    tick(&server).ok();
    // It is right now: the machine was paused, say.
    set(&server, 2 * HOUR);
    assert_eq!(server.report(&codes[0], vec![seed(ago(1), 1)]).refused(), doubt());
    let before = server.status()["position"].as_u64().unwrap();
    resume(&server).ok();
    // The log has the operator's word.
    assert_eq!(server.status()["position"], before + 1);
    server.report(&codes[0], vec![seed(ago(1), 1)]).ok();
    tick(&server).ok();
    // It was wrong before: the last tick is ahead of the right time.
    set(&server, -2 * HOUR);
    assert_eq!(server.report(&codes[1], vec![seed(ago(1), 2)]).refused(), doubt());
    assert_eq!(resume(&server).refused(), (409, "clock_behind".to_owned()));
    // Reports still wait, since phones must not get times that go back, unless a new series begins.
    assert!(ready(&server).unwrap_err().contains("7200 seconds before the last tick"));
    server.operate("POST", "/v1/admin/series", Value::Null).ok();
    server.report(&codes[1], vec![seed(ago(1), 2)]).ok();
    tick(&server).ok();
    assert_eq!(ready(&server), Ok(()));
}

/// The operator's word is about the time that it was judged by.
#[actix_web::test]
async fn a_clock_that_is_set_again_before_the_word_is_in_the_log_is_not_trusted() {
    let home = Arc::new(Home::new());
    home.uptime.store(3600, Ordering::SeqCst);
    *home.boot.lock().unwrap() = Some("a boot".to_owned());
    let running = home.begin().await;
    running.tick().await;
    home.set(home.now() + 2 * HOUR as u64);
    let (set, later) = (Arc::clone(&home), home.now() + HOUR as u64);
    let expect = move |_: &State| {
        set.set(later);
        Ok(())
    };
    let resumed = running.service().resume_clock(expect, true).await;
    assert!(matches!(resumed, Err(Problem::ClockMoved { seconds: HOUR })), "{resumed:?}");
    let refused = running.report(0, &[raw(2, 1)]).await;
    assert!(matches!(refused, Err(Problem::ClockDoubt)), "{refused:?}");
    running.service().resume_clock(|_| Ok(()), true).await.unwrap();
    running.report(0, &[raw(2, 1)]).await.unwrap();
    running.stop().await;
}

/// Only reports were made by a clock that was ahead: the operator's word is enough.
#[test]
fn reports_that_are_ahead_of_a_right_clock_do_not_stop_others_for_long() {
    let server = server();
    let (_, token) = server.provider("City");
    let codes = server.codes(&token, 2);
    tick(&server).ok();
    set(&server, 2 * HOUR);
    resume(&server).ok();
    set(&server, HOUR);
    resume(&server).ok();
    server.report(&codes[0], vec![seed(ago(1), 1)]).ok();
    set(&server, -HOUR);
    assert!(ready(&server).is_err());
    resume(&server).ok();
    server.report(&codes[1], vec![seed(ago(1), 2)]).ok();
    tick(&server).ok();
}

#[test]
fn a_leap_between_two_runs_is_noticed_if_the_machine_did_not_boot() {
    for (leap, boots, in_doubt) in
        [(HOUR, false, true), (-HOUR, false, true), (HOUR, true, false), (-HOUR, true, true)]
    {
        let mut server = server();
        let (_, token) = server.provider("City");
        let codes = server.codes(&token, 2);
        server.report(&codes[0], vec![seed(ago(1), 1)]).ok();
        tick(&server).ok();
        set(&server, leap);
        server.pass(600);
        if boots {
            *server.home.boot.lock().unwrap() = Some("another boot".to_owned());
        }
        server = server.restart();
        let answer = server.report(&codes[1], vec![seed(ago(1), 2)]);
        if in_doubt {
            assert_eq!(answer.refused(), doubt(), "{leap} {boots}");
            assert!(ready(&server).is_err());
            set(&server, -leap);
            server.report(&codes[1], vec![seed(ago(1), 2)]).ok();
        } else {
            // After a boot the log alone tells, and a pause of an hour is none of its affair.
            answer.ok();
        }
        tick(&server).ok();
    }
}

/// The operator's word counts after a restart too, and a damaged anchor is none.
#[test]
fn the_anchor_is_kept_and_may_be_lost() {
    let mut server = server();
    let (_, token) = server.provider("City");
    let codes = server.codes(&token, 2);
    tick(&server).ok();
    set(&server, HOUR);
    resume(&server).ok();
    server = server.restart();
    server.report(&codes[0], vec![seed(ago(1), 1)]).ok();
    tick(&server).ok();
    for damage in ["", "{", "{\"boot\":1}", "null"] {
        std::fs::write(server.home.path("anchor"), damage).unwrap();
        // Written anew at the end of a run, so that this one reads another.
        let copy = Arc::new(server.home.copy());
        copy.uptime.store(server.home.uptime.load(Ordering::SeqCst) + 60, Ordering::SeqCst);
        *copy.boot.lock().unwrap() = Some("a boot".to_owned());
        let started = Server::start(copy, &server.operator);
        assert_eq!(ready(&started), Ok(()), "{damage}");
        assert!(std::fs::read_to_string(started.home.path("anchor")).unwrap().contains("a boot"));
    }
}

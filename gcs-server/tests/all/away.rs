//! A node whose database does not answer.

#![cfg(unix)]

use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::common::authority::Authority;
use crate::common::postgres::postgres;
use crate::common::process::{Process, until_ticked};
use crate::common::wait;

/// A host that takes connections and says nothing: its address, and the connections.
fn silent() -> (String, Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (came, connections) = channel();
    std::thread::spawn(move || {
        let streams = listener.incoming().flatten();
        streams.take_while(|stream| came.send(stream.try_clone().unwrap()).is_ok()).count()
    });
    (address, connections)
}

#[test]
fn a_server_that_tries_to_reach_its_log_stops_when_it_is_told_to() {
    let Some(server) = postgres() else { return };
    let authority = Authority::new(server);
    let a = authority.start("a");
    until_ticked(&a);
    a.stop();
    // If it waited for them, each for 5 s, it would take 40 s.
    let hosts: [_; 8] = std::array::from_fn(|_| silent());
    let first = &hosts[0].1;
    let addresses = hosts.each_ref().map(|(address, _)| address.as_str()).join(",");
    let place = format!("postgres://test@{addresses}/log");
    let a = Process::start(&authority.folder("a"), &["--store", &place]);
    assert_eq!(a.get("/v1/manifest").status, 200);
    while first.try_recv().is_ok() {}
    // It tries again at once.
    a.signal("-HUP");
    let _connection = first.recv_timeout(wait::PATIENCE).unwrap();
    let begun = Instant::now();
    a.stop();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

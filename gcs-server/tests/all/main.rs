//! The tests of the server from outside, in one program, which is linked once.

#![allow(
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "tests"
)]

mod acts;
mod api;
mod arrows;
mod away;
mod backup;
mod behind;
mod bluetrace;
mod checkpoint;
mod clocks;
mod command_line;
mod common;
mod corrections;
mod damage;
mod erasing;
mod file_damage;
mod first_start;
mod folders;
mod full_disk;
mod hostile;
mod judging;
mod kinds;
mod large_files;
mod ledger;
mod log;
mod mirror;
mod nodes;
mod output;
mod postgres;
mod process;
mod publications;
mod publishing;
mod recovery;
mod remaking;
mod restart;
mod s3;
mod s3_servers;
mod salvage;
mod same_bytes;
#[cfg(target_os = "linux")]
mod sandbox;
mod several_nodes;
mod spool;
mod store;
mod tls;
mod unfinished;
mod unusable_log;
mod upgrade;

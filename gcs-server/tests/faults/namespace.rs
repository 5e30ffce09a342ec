//! A network namespace for one node: a machine of its own as far as the network goes. Only root can make one.
//!
//! It has two links to this machine: by one it is asked, by the other it reaches the database. That one can be
//! unplugged, so that what is sent is lost and nobody is told, and made narrow.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::process::text;

/// Number of links that can be told apart: for each, four addresses of 198.18.0.0/15, which no network uses.
const LINKS: u32 = 1 << 15;

/// A namespace. Its links are gone with it.
pub struct Namespace {
    name: String,
    front: Link,
    back: Link,
}

/// A link, by the name of its end on this machine.
struct Link {
    name: String,
    here: Ipv4Addr,
    there: Ipv4Addr,
}

impl Namespace {
    /// `None`, said aloud, where this user may not make one.
    pub fn new() -> Option<Namespace> {
        match Namespace::make() {
            Ok(namespace) => Some(namespace),
            Err(error) => {
                let is_expected = std::env::var_os("TEST_NAMESPACES").is_some();
                assert!(!is_expected, "TEST_NAMESPACES is set, and there is none: {error}");
                // Not captured, as what the macros print of a test that passes.
                let _heard = writeln!(
                    std::io::stderr(),
                    "NOT TESTED: links of nodes that are unplugged or narrow: {error}"
                );
                None
            }
        }
    }

    fn make() -> Result<Namespace, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let link = |side: u32, letter| {
            let at = (process.wrapping_mul(64) + number * 2 + side) % LINKS;
            let first = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + at * 4;
            let [here, there] = [first + 1, first + 2].map(Ipv4Addr::from);
            Link { name: format!("g{process}-{number}{letter}"), here, there }
        };
        let name = format!("gcs-{process}-{number}");
        let namespace = Namespace { name, front: link(0, 'f'), back: link(1, 'b') };
        ip(&["netns", "add", &namespace.name])?;
        for link in [&namespace.front, &namespace.back] {
            namespace.connect(link)?;
        }
        // Not every system can make a link narrow.
        for bits in [Some(1 << 20), None] {
            namespace.limit(bits)?;
        }
        Ok(namespace)
    }

    fn connect(&self, Link { name, here, there }: &Link) -> Result<(), String> {
        let peer = &name[1..];
        ip(&["link", "add", name, "type", "veth", "peer", "name", peer, "netns", &self.name])?;
        ip(&["addr", "add", &format!("{here}/30"), "dev", name])?;
        ip(&["link", "set", name, "up"])?;
        ip(&["-n", &self.name, "addr", "add", &format!("{there}/30"), "dev", peer])?;
        ip(&["-n", &self.name, "link", "set", peer, "up"])
    }

    /// What a program begins with that runs in here.
    pub fn starter(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net=/run/netns/{}", self.name), "--".to_owned()]
    }

    /// The address at which a node in here is asked.
    pub fn address(&self) -> Ipv4Addr {
        self.front.there
    }

    /// The address of this machine at which a node in here finds the database.
    pub fn database(&self) -> Ipv4Addr {
        self.back.here
    }

    /// Unplugs the link to the database, or plugs it in again.
    pub fn plug(&self, is_in: bool) {
        let state = if is_in { "up" } else { "down" };
        ip(&["link", "set", &self.back.name, state]).unwrap();
    }

    /// Lets the link to the database carry so many bits a second towards the node, or as many as it can.
    pub fn narrow(&self, bits: Option<u64>) {
        self.limit(bits).unwrap();
    }

    fn limit(&self, bits: Option<u64>) -> Result<(), String> {
        let device = ["dev", &self.back.name, "root"];
        let rate = bits.map(|bits| bits.to_string());
        let limits = ["tbf", "rate", rate.as_deref().unwrap_or_default(), "burst", "4kb"];
        let limits = [&limits[..], &["latency", "5s"]].concat();
        let arguments = match bits {
            Some(_) => [&["qdisc", "replace"][..], &device, &limits].concat(),
            None => [&["qdisc", "del"][..], &device].concat(),
        };
        run("tc", &arguments)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for link in [&self.front, &self.back] {
            let _gone = ip(&["link", "del", &link.name]);
        }
        let _gone = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{program}: {}", text(&output.stderr).trim())),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

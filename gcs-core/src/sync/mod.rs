//! A client that turns published files into contacts, without I/O.
//!
//! A client is a folder of its own and one [`Session`] per wake. The session asks its
//! [`Driver`] to fetch published files and to keep its own, and ends with an [`Outcome`]:
//! whether it is up to date, the contacts that are confirmed, and when to wake it again.
//! [`Session::run`] does all of a wake with a driver that may block. A program that cannot
//! block, or is in another language, answers one [`Step`] after the other with
//! [`Session::resume`].
//!
//! - **Sync.** The manifest is verified up to the pinned root key, and an older one than
//!   before is refused. The client reaches its table in the way that costs the fewest bytes,
//!   by bundles or by whole sets. Nothing is kept that a verified table does not name. If a
//!   file is wrong, missing or late, another way is taken or the client tries again later; the
//!   answer is never wrong. After an interruption only the interrupted file is fetched again.
//! - **Match.** What was heard on a UTC date is tested against that date's set, and
//!   against the neighbour's when it was heard within 2 hours of midnight. A date whose set
//!   cannot be had costs no other date anything.
//! - **Confirm, or not.** If the published rate makes false alarms rarer than
//!   [`ClientSettings::false_alarm_one_in`] tolerates, a hit is a contact at once, and nothing is
//!   asked. Otherwise it is a candidate. About every 6 hours, at a random time, comes a
//!   confirmation slot, in which one check record is fetched: for a candidate if there is one,
//!   else for a dummy, which is drawn among the fingerprints added since the last question, as
//!   hits are. A question waits until enough is new ([`ClientSettings::crowd`]). Once asked, it
//!   is asked again in every slot until an authentic record answers it or its date goes, dummy
//!   or not. Every hit that lies in the record is judged by it.
//! - **Ask little.** An *episode* is a run of hits, each within 30 minutes of the one before.
//!   One candidate of an episode is asked for; another only if that was a false positive. Once one
//!   hit is confirmed, those that were found with it, between the same two questions, are contacts
//!   too: a patient's report comes all at once, and a false positive hardly ever comes with it
//!   (where less than one is expected in all; at other rates each episode is asked for). A false
//!   positive is not asked for again. Should the same element be published later, the contact is
//!   missed; the chance of that is the false-positive rate.
//!
//! The first slot comes within 6 hours of the first wake. A wake before a poll or a slot is due
//! only matches; [`Outcome::next_wake`] is the earlier of the two.
//!
//! A server that can link a client's requests learns which records it fetched, and may see
//! patients who fit all of them. FORMAT.md has a table of how many are left. To hide more,
//! publish at a rate at which nothing needs to be asked, or hide the client's address, as
//! Oblivious HTTP (RFC 9458) does.
//!
//! # A client in full
//!
//! The [`Driver`] below keeps everything in maps; a real one does the same with its own
//! storage and HTTP. With the feature `std` there is one whose storage is a folder on disk,
//! [`FolderDriver`], and only fetching is left to the app.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::convert::Infallible;
//! use std::ops::Range;
//!
//! use gcs_core::publish::{Day, Keys, Publication, Publisher, PublisherSettings};
//! use gcs_core::sync::{ClientSettings, Driver, Heard, Session, Wake};
//! use gcs_core::{DAY_SECONDS, Date};
//!
//! type Files = BTreeMap<String, Vec<u8>>;
//!
//! struct MapDriver<'a> {
//!     server: &'a Files,
//!     folder: &'a mut Files,
//! }
//!
//! impl Driver for MapDriver<'_> {
//!     type Error = Infallible;
//!
//!     fn fetch(
//!         &mut self,
//!         path: &str,
//!         byte_range: Option<Range<u64>>,
//!         _limit: u64,
//!     ) -> Result<Option<Vec<u8>>, Infallible> {
//!         Ok(self.server.get(path).map(|file| match byte_range {
//!             Some(part) => file[part.start as usize..part.end as usize].to_vec(),
//!             None => file.clone(),
//!         }))
//!     }
//!
//!     fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, Infallible> {
//!         Ok(self.folder.get(name).cloned())
//!     }
//!
//!     fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), Infallible> {
//!         self.folder.insert(name.to_string(), bytes.to_vec());
//!         Ok(())
//!     }
//!
//!     fn delete(&mut self, name: &str) -> Result<(), Infallible> {
//!         self.folder.remove(name);
//!         Ok(())
//!     }
//! }
//!
//! // A publisher publishes two identifiers.
//! let date: Date = "2026-01-05".parse()?;
//! let mut now = date.end() + 2 * 3600;
//! let keys = Keys::from_secret([1; 32], now + 365 * DAY_SECONDS);
//! let mut day = Day { date, elements: vec![*b"identifier heard", *b"another patient."] };
//! let publisher = Publisher::new(PublisherSettings::default(), 1);
//! let first = publisher.publish_next(now, &[day.clone()], &keys)?;
//! let mut server = Files::new();
//! let serve = |publication: &Publication, server: &mut Files| {
//!     let files = publication.files.iter();
//!     server.extend(files.map(|file| (file.path.to_string(), file.bytes.clone())));
//! };
//! serve(&first, &mut server);
//!
//! // A phone heard one of them at noon. It wakes when it should, until its hit is decided.
//! let settings = ClientSettings::new(keys.root);
//! let heard = vec![Heard { time: date.start() + 43_200, element: b"identifier heard".to_vec() }];
//! let mut folder = Files::new();
//! let mut wake = |now: u64, server: &Files| {
//!     let entropy = [now as u8; 32]; // In an app: from the system's source of randomness.
//!     let wake = Wake { now, entropy, heard: heard.clone() };
//!     Session::new(&settings, wake).run(&mut MapDriver { server, folder: &mut folder })
//! };
//! let mut outcome = wake(now, &server);
//! assert_eq!(outcome.undecided, 1);
//! while outcome.undecided > 0 {
//!     now = outcome.next_wake;
//!     outcome = wake(now, &server);
//! }
//! assert_eq!(outcome.contacts.unwrap()[0].element, b"identifier heard");
//!
//! // The report was a mistake. The next tick removes it, and the phone drops the contact.
//! day.elements.remove(0);
//! serve(&first.publisher.publish_next(now, &[day], &keys)?, &mut server);
//! let outcome = wake(now + 4000, &server);
//! assert_eq!(outcome.contacts, Some(vec![]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod confirm;
mod driver;
mod engine;
mod error;
#[cfg(feature = "std")]
mod folder;
mod mailbox;
mod matching;
mod plan;
mod queue;
mod seed_update;
mod seeds;
mod session;
mod state;
mod step;
mod store;
mod update;
mod wake;
mod window;

use alloc::string::String;
use alloc::vec::Vec;

use crate::date::{DAY_SECONDS, Date};
use crate::error::ParseError;
use crate::files::{SeedRow, Verdict};
use crate::keys::PublicKey;
use crate::seeds::SeedKind;
use crate::version::Version;

pub use self::driver::{Driver, range_header};
pub use self::error::SyncError;
#[cfg(feature = "std")]
pub use self::folder::{Fetch, FolderDriver, FolderDriverError};
pub use self::seeds::seed_list_name;
pub use self::session::Session;
pub use self::step::{Answer, Step};

/// The settings of a client. An app decides them once, and all of its clients have the same:
/// a client with others would stand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// The key that signs the list of online keys.
    pub root: PublicKey,
    /// Longest delay of a poll in seconds. The next poll comes at the time at which the next
    /// publication is expected, plus a random delay. Default 300.
    pub poll_jitter: u64,
    /// Mean time between confirmation slots in seconds. The time to the next slot is random,
    /// from half of the mean to one and a half times the mean. Default 6 hours.
    pub confirm_every: u64,
    /// How many fingerprints must be new before a question is asked, so that there is enough to
    /// hide among. Publications since the last question must also span half of `confirm_every`.
    /// Default 10,000, the identifiers of some seven patients of DP-3T.
    pub crowd: u64,
    /// Longest time to wait for that crowd, in seconds between the times of issue of
    /// publications. At least 24 hours, the lifetime of a manifest: otherwise whoever withholds
    /// manifests can choose what a question hides among. If nothing at all is new, it is three
    /// times as long. Default 24 hours; 0 never waits, for tests.
    pub crowd_wait: u64,
    /// Without asking, a hit is a contact if at most one phone in this many is expected to have
    /// a false alarm. Rates of 2^-32 do that, see [`ClientSettings::usual_heard`]. 0 always asks.
    /// Default 10,000.
    pub false_alarm_one_in: u64,
    /// How many elements a phone usually hears within the published dates. A phone that heard
    /// fewer decides as if it had heard so many, so that whether it asks does not tell how many
    /// it heard. Default 140,000.
    pub usual_heard: u64,
    /// The kind of seeds whose lists the client keeps beside its sets, for an app that expands seeds
    /// itself: see [`Outcome::seeds`]. It downloads the sets all the same. Lists of another kind that it kept before
    /// are deleted. Default none.
    pub seeds: Option<SeedKind>,
}

impl ClientSettings {
    /// The defaults, with this root key.
    pub fn new(root: PublicKey) -> ClientSettings {
        ClientSettings {
            root,
            poll_jitter: 300,
            confirm_every: 6 * 3600,
            crowd: 10_000,
            crowd_wait: DAY_SECONDS,
            false_alarm_one_in: 10_000,
            usual_heard: 140_000,
            seeds: None,
        }
    }
}

/// An element that a phone heard, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Unix time.
    pub time: u64,
    /// The element, 16 to 64 bytes: the identifier as broadcast, or whatever the protocol
    /// makes of it.
    pub element: Vec<u8>,
}

/// What a session starts from, besides the client's folder.
#[derive(Clone, Debug)]
pub struct Wake {
    /// Unix time now.
    pub now: u64,
    /// 32 bytes from a cryptographic source of randomness, fresh for every wake.
    pub entropy: [u8; 32],
    /// Everything heard on the published dates (at most 32; the authority says how many), and on
    /// the day before and after them. Give all of it at every wake: sets change, so what was no
    /// hit may become one.
    pub heard: Vec<Heard>,
}

/// A contact as of this wake, one for each episode: an authentic record confirmed it or a hit that
/// was found with it, or false alarms are rarer than [`ClientSettings::false_alarm_one_in`]
/// tolerates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// When the episode's first hit was heard, Unix time. False positives do not count.
    pub first: u64,
    /// When the episode's last hit was heard, Unix time.
    pub last: u64,
    /// Date of the set that holds the element.
    pub date: Date,
    /// The element that was heard.
    pub element: Vec<u8>,
}

/// The record that was fetched in this wake's confirmation slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The record of a candidate, which gave this verdict.
    Candidate(Verdict),
    /// A dummy: the record of one of the fingerprints that are new, fetched so that an observer
    /// cannot tell whether there is a candidate.
    Dummy {
        /// Whether the record was authentic.
        authentic: bool,
    },
}

/// Something that went wrong, and that the session has handled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incident {
    /// A file of the client's own folder was missing or damaged, and will be made anew.
    /// After the loss of `state` or of a table, unused sets may stay in the folder. After the
    /// loss of `queue`, contacts are missing until they are confirmed again.
    OwnFile {
        /// Its name.
        name: String,
        /// What is wrong with it, if it was there.
        error: Option<ParseError>,
    },
    /// The folder belonged to another root key and was started over.
    OtherRoot {
        /// The key that it belonged to.
        was: PublicKey,
    },
    /// A file was missing or wrong and another way was taken, or a record was not
    /// authentic.
    Detour(SyncError),
    /// Something heard is not 16 to 64 bytes long and was left out.
    HeardLength {
        /// Its position among what was heard.
        index: usize,
        /// Its length.
        got: usize,
    },
}

/// How a wake ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// The publication that the client now has whole, if any.
    pub held: Option<Version>,
    /// Whether that is what the newest manifest seen names, and it has not expired. The same of the
    /// lists of seeds, if the settings name a kind.
    pub up_to_date: bool,
    /// What went wrong, if the wake could not do all that was due. If only the sets or the lists of seeds of some
    /// dates could not be had, everything else was done.
    pub error: Option<SyncError>,
    /// Every contact whose fingerprint is still published. If a contact of an earlier
    /// wake is missing, its date has expired, the report was corrected, or a record has shown that
    /// it was a false alarm. `None` if the
    /// client's own folder could not be read: the contacts of the wake before are still valid
    /// then.
    pub contacts: Option<Vec<Contact>>,
    /// Hits that no authentic record has answered yet, apart from those of a contact.
    pub undecided: usize,
    /// What this wake's confirmation slot was used for. `None` if no slot was due, if too
    /// little is new to hide a question among, or if nothing needs to be asked.
    pub asked: Option<Asked>,
    /// What went wrong on the way and was handled.
    pub incidents: Vec<Incident>,
    /// The lists of seeds that the client has, of the kind that its settings name. Read each from the
    /// client's folder, by [`seed_list_name`], and test against what its seeds expand to what was
    /// heard on a date that is among `dates`: a hit is a contact. Newer lists may be published, if
    /// the client is not up to date. `None` if the settings name no kind, or if the client's own folder could not
    /// be read: the hits of the wake before are still valid then.
    pub seeds: Option<Vec<SeedRow>>,
    /// The published dates, as far as the client knows. What a seed gives for other dates has expired.
    pub dates: Vec<Date>,
    /// Unix time at which to wake the client next: the next poll or the next confirmation
    /// slot. Waking it earlier does no harm.
    pub next_wake: u64,
}

//! A mirror that forges check records, or serves those of an earlier table.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use gcs_core::files::{Path, Verdict};
use gcs_core::sync::Fetch;
use gcs_core::sync::{Asked, ClientSettings};
use gcs_core::{Date, Digest};
use gcs_examples::http::HttpFetch;
use gcs_examples::phone::{Phone, hurried};
use gcs_examples::{Checked, ensure};

use crate::story::{Story, is_at_the_test_centre};
use crate::voice::{doing, say};

/// How often each lie is told.
const LIES: u32 = 3;

/// The way in which the mirror falsifies check records.
#[derive(Clone, Copy, Debug)]
enum Lie {
    None,
    /// One bit of the record is changed.
    Forge,
    /// The record is one of the table before, which is not authentic any more.
    Stale,
}

/// A mirror between a phone and the server.
#[derive(Debug)]
struct Mirror {
    server: HttpFetch,
    lie: Lie,
    /// Check roots of the tick before.
    stale: BTreeMap<Date, Digest>,
    /// Position of the last byte that was forged.
    at: usize,
}

impl Fetch for Mirror {
    type Error = io::Error;

    fn fetch(
        &mut self,
        path: &str,
        byte_range: Option<Range<u64>>,
        limit: u64,
    ) -> io::Result<Option<Vec<u8>>> {
        let Ok(Path::Checks { date, root }) = path.parse() else {
            return self.server.fetch(path, byte_range, limit);
        };
        let root = match self.lie {
            Lie::Stale => self.stale.get(&date).copied().unwrap_or(root),
            Lie::None | Lie::Forge => root,
        };
        let path = Path::Checks { date, root }.to_string();
        let mut record = self.server.fetch(&path, byte_range, limit)?;
        if let (Lie::Forge, Some(record)) = (self.lie, &mut record) {
            self.at = (self.at + 8008) % record.len();
            record[self.at] ^= 1;
        }
        Ok(record)
    }
}

impl Story {
    /// Forged and stale records give the verdict Unknown; authentic ones then confirm the contacts.
    pub(crate) fn forged_and_stale_records_are_unknown(&mut self) -> Checked<()> {
        doing("a mirror lies");
        let stale: BTreeMap<Date, Digest> = self.observer.checks_before()?.into_iter().collect();
        ensure(!stale.is_empty(), || "expected check files of the previous manifest".into())?;
        let server = HttpFetch::new(&self.server.public);
        let mirror = Mirror { server, lie: Lie::Forge, stale, at: 60 };
        let root = self.server.root;
        let often = hurried(ClientSettings::new(root));
        let mut phone = Phone::new(200, often, mirror);
        self.live_a_fortnight(&mut phone, 1);
        phone.forget_date(self.first);
        phone.forget_patients(is_at_the_test_centre);

        let mut now = self.server.now + 500;
        for lie in [Lie::Forge, Lie::Stale] {
            phone.driver.remote.inner.lie = lie;
            let mut told = 0;
            while told < LIES {
                let outcome = phone.wake(now);
                if let Some(asked) = outcome.asked {
                    let is_unknown = asked == Asked::Candidate(Verdict::Unknown);
                    let contacts = outcome.contacts.as_ref().ok_or("no contacts were read")?;
                    ensure(is_unknown && contacts.is_empty(), || {
                        format!("deceived by {lie:?}: {asked:?}, {contacts:?}")
                    })?;
                    told += 1;
                }
                now = outcome.next_wake;
            }
        }
        phone.driver.remote.inner.lie = Lie::None;
        let contacts = phone.confirm_all(now)?;
        (self.figures.forged, self.figures.stale) = (LIES, LIES);
        say(format!(
            "\n{LIES} forged and {LIES} stale check records give no verdict; authentic ones then \
             confirm all {contacts} contacts."
        ))?;
        Ok(())
    }
}

//! What can be known of the frames of a write-ahead log.

use std::io;

use super::format::{FrameBytes, Frames, Header, Order, Salt, Sum};

/// What is known of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its checksum follows from the frame before.
    Verified,
    /// It is of this write-ahead log, but the frame before it, which its checksum goes on from, is lost.
    Unproven,
    /// It is not what was written, or left from before the last checkpoint.
    Bad,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) page: u32,
    /// Number of pages of the database, if a transaction ends here.
    pub(super) commit: Option<u32>,
    pub(super) verdict: Verdict,
    /// Whether SQLite takes it, if it takes all before it.
    pub(super) is_regular: bool,
}

/// How many more checkpoints than a frame behind it a frame at the beginning can have seen. Each makes the first
/// number of the salt one higher.
const MOST_CHECKPOINTS: u32 = 1 << 16;

/// Whether one salt was made some checkpoints after another one.
fn is_later(salt: Salt, than: Salt) -> bool {
    (1..=MOST_CHECKPOINTS).contains(&salt[0].wrapping_sub(than[0]))
}

/// Whether the header is not that of the frames: they are from after a checkpoint, and the header, which was written
/// again then, is not. SQLite waits for a header before it writes frames, so the disk has lost it.
pub(super) fn is_older(header: &Header, frames: &Frames) -> io::Result<bool> {
    let first = frames.read()?.next().transpose()?;
    Ok(first.is_some_and(|first| is_later(first.salt(), header.salt)))
}

/// The order and the salt of frames whose header is lost; `None` if no frame tells.
pub(super) fn without_header(frames: &Frames) -> io::Result<Option<(Order, Salt)>> {
    let (mut first, mut before) = (None, None::<FrameBytes>);
    for frame in frames.read()? {
        let frame = frame?;
        first.get_or_insert(frame.salt());
        let goes_on = |order: &Order| {
            before.as_ref().is_some_and(|before| {
                before.salt() == frame.salt() && frame.follows(*order, before.stored())
            })
        };
        if let Some(order) = [Order::LowFirst, Order::HighFirst].into_iter().find(goes_on) {
            // SQLite writes from the beginning again after a checkpoint: this one may be from before it.
            let newer = first.filter(|first| is_later(*first, frame.salt()));
            return Ok(Some((order, newer.unwrap_or(frame.salt()))));
        }
        before = Some(frame);
    }
    Ok(None)
}

/// Judges frames from the first to the last.
pub(super) struct Judge {
    pub(super) order: Order,
    pub(super) salt: Salt,
    /// The header's checksum, if it is good.
    pub(super) sum: Option<Sum>,
    /// Most pages that the database can have.
    pub(super) pages: u64,
}

/// The frame before the one that is judged.
struct Before {
    frame: FrameBytes,
    verdict: Verdict,
    /// The checksum that its own goes on from, if that is known.
    sum: Option<Sum>,
}

impl Judge {
    pub(super) fn judge(&self, frames: &Frames) -> io::Result<Vec<Frame>> {
        let mut judged: Vec<Frame> = Vec::new();
        let mut before: Option<Before> = None;
        for frame in frames.read()? {
            let frame = frame?;
            let (verdict, mends) = self.verdict(before.as_ref(), &frame);
            if mends && let Some(last) = judged.last_mut() {
                last.verdict = Verdict::Verified;
            }
            judged.push(Frame {
                page: frame.page_number(),
                commit: Some(frame.commit()).filter(|pages| *pages > 0),
                verdict,
                is_regular: self.follows(before.as_ref(), &frame) && frame.salt() == self.salt,
            });
            let sum = match &before {
                None => self.sum,
                Some(before) => {
                    Some(before.frame.stored()).filter(|_| before.verdict == Verdict::Verified)
                }
            };
            before = Some(Before { frame, verdict, sum });
        }
        Ok(judged)
    }

    /// What is known of a frame; and whether it proves the frame before, of which the checksum alone
    /// is wrong.
    fn verdict(&self, before: Option<&Before>, frame: &FrameBytes) -> (Verdict, bool) {
        if !self.is_possible(frame) {
            return (Verdict::Bad, false);
        }
        let (has_salt, follows) = (frame.salt() == self.salt, self.follows(before, frame));
        let is_known = match before {
            None => self.sum.is_some(),
            Some(before) => before.verdict == Verdict::Verified,
        };
        // What goes on from a frame that verifies is right, even if its salt was damaged.
        if follows && (has_salt || is_known) {
            return (Verdict::Verified, false);
        }
        if !has_salt || is_known {
            return (Verdict::Bad, false);
        }
        if before.is_some_and(|before| self.proves(before, frame)) {
            return (Verdict::Verified, true);
        }
        (Verdict::Unproven, false)
    }

    /// Whether a frame goes on from the checksum that is before it.
    fn follows(&self, before: Option<&Before>, frame: &FrameBytes) -> bool {
        let said = before.map_or(self.sum, |before| Some(before.frame.stored()));
        said.is_some_and(|said| frame.follows(self.order, said))
    }

    /// Whether a frame goes on from the checksum that the frame before should have had.
    fn proves(&self, before: &Before, frame: &FrameBytes) -> bool {
        let should = before.sum.map(|sum| before.frame.sum(self.order, sum));
        should.is_some_and(|should| frame.follows(self.order, should))
            && self.is_possible(&before.frame)
    }

    /// Whether its numbers of pages can be right.
    fn is_possible(&self, frame: &FrameBytes) -> bool {
        let (page, commit) = (frame.page_number(), frame.commit());
        page > 0 && u64::from(page) <= self.pages && u64::from(commit) <= self.pages
    }
}

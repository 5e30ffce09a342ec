//! Lines or records as they come, read by a thread of their own, so that a pause is noticed.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use crate::error::Error;
use crate::hashing::spawn;
use crate::input::{Blocks, Layout, Source};

/// Blocks that are read ahead.
const AHEAD: usize = 4;

/// The next thing that an input gives.
pub(crate) enum Next {
    /// Whole lines or records.
    Block(Vec<u8>),
    /// Nothing for the time that was asked for.
    Pause,
    /// Nothing any more.
    End,
}

/// The blocks of an input that may pause.
pub(crate) struct Incoming(Receiver<Result<Next, Error>>);

impl Incoming {
    /// Begins to read.
    pub(crate) fn start(source: &Source, layout: Layout) -> Result<Incoming, Error> {
        let (sender, receiver) = sync_channel(AHEAD);
        let mut blocks = Blocks::prompt(source.open()?, layout);
        let source = source.clone();
        // Not waited for: when nobody takes blocks any more, it may be waiting for input.
        spawn(move || {
            loop {
                let next = match blocks.next() {
                    Ok(Some((block, _))) => Ok(Next::Block(block)),
                    Ok(None) => Ok(Next::End),
                    Err(error) => Err(source.failed(error)),
                };
                let is_last = !matches!(next, Ok(Next::Block(_)));
                if sender.send(next).is_err() || is_last {
                    return;
                }
            }
        })?;
        Ok(Incoming(receiver))
    }

    /// Waits for the next lines, the end or a pause; a pause is as long as `within`, if that is given.
    pub(crate) fn next(&mut self, within: Option<Duration>) -> Result<Next, Error> {
        let message = match within {
            None => self.0.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(within) => self.0.recv_timeout(within),
        };
        match message {
            Ok(next) => next,
            Err(RecvTimeoutError::Timeout) => Ok(Next::Pause),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::Start("reading", "a thread has ended early".to_owned()))
            }
        }
    }
}

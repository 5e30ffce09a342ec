//! A session: a state machine that gives steps and takes their answers.
//!
//! Inside, the protocol is one asynchronous function that awaits the driver's answers. Outside
//! there is no executor, no callback and no thread, only [`Session::resume`], which a driver in
//! any language calls in a loop.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use spin::Mutex;

use super::mailbox::{DriverProxy, Mailbox};
use super::step::{Answer, Step};
use super::{ClientSettings, Outcome, Wake, wake};

/// One wake of a client: an owned state machine without I/O.
///
/// It can be dropped at any point, as when the phone is switched off: the next session
/// goes on from what was written.
///
/// A wake reads and validates all sets of the client, and tests everything heard against them:
/// O(n + q log q) time for n fingerprints and q elements heard. It keeps the sets in memory as
/// they are on disk, compressed.
pub struct Session {
    run: Pin<Box<dyn Future<Output = Outcome> + Send>>,
    mailbox: Arc<Mutex<Mailbox>>,
    outcome: Option<Outcome>,
}

impl Session {
    /// A session that will do everything that is due.
    pub fn new(settings: &ClientSettings, wake: Wake) -> Session {
        let mailbox = Arc::new(Mutex::new(Mailbox::default()));
        let run = Box::pin(wake::run(DriverProxy(Arc::clone(&mailbox)), *settings, wake));
        Session { run, mailbox, outcome: None }
    }

    /// Takes the answer to the last step (at first [`Answer::Start`]) and gives the next.
    ///
    /// An answer that does not fit its step counts as failed. After [`Step::Done`] every call
    /// gives the same outcome again.
    pub fn resume(&mut self, answer: Answer) -> Step {
        if self.outcome.is_none() {
            self.mailbox.lock().answer = Some(answer);
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(outcome) = self.run.as_mut().poll(&mut context) {
                self.outcome = Some(outcome);
            }
        }
        match &self.outcome {
            Some(outcome) => Step::Done(Box::new(outcome.clone())),
            None => {
                let step = self.mailbox.lock().step.take();
                step.expect("an engine that waits has asked for something")
            }
        }
    }
}

impl core::fmt::Debug for Session {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Session").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

//! How the engine, which is one asynchronous function, asks a driver that only calls `resume`.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::ops::Range;
use core::task::Poll;

use spin::Mutex;

use super::step::{Answer, Step};

/// Where the engine puts its next step and finds the answer to it. Engine and driver never
/// run at the same time, so neither waits for the lock; it makes a session `Send`.
#[derive(Default)]
pub(super) struct Mailbox {
    pub step: Option<Step>,
    pub answer: Option<Answer>,
}

/// The driver as the engine sees it: functions that return when the answer is there.
pub(super) struct DriverProxy(pub Arc<Mutex<Mailbox>>);

impl DriverProxy {
    async fn ask(&self, step: Step) -> Answer {
        *self.0.lock() = Mailbox { step: Some(step), answer: None };
        poll_fn(|_| match self.0.lock().answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        })
        .await
    }

    /// The file's bytes, `None` if there is no such file, or why it did not work.
    pub(super) async fn fetch(
        &self,
        path: String,
        byte_range: Option<Range<u64>>,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, String> {
        bytes(self.ask(Step::Fetch { path, byte_range, limit }).await)
    }

    pub(super) async fn get(&self, name: String) -> Result<Option<Vec<u8>>, String> {
        bytes(self.ask(Step::Get { name }).await)
    }

    pub(super) async fn put(&self, name: String, bytes: Vec<u8>) -> Result<(), String> {
        match self.ask(Step::Put { name, bytes }).await {
            Answer::Done => Ok(()),
            answer => Err(reason(answer)),
        }
    }

    pub(super) async fn delete(&self, name: String) -> Result<(), String> {
        match self.ask(Step::Delete { name }).await {
            Answer::Done | Answer::Missing => Ok(()),
            answer => Err(reason(answer)),
        }
    }
}

fn bytes(answer: Answer) -> Result<Option<Vec<u8>>, String> {
    match answer {
        Answer::Bytes(bytes) => Ok(Some(bytes)),
        Answer::Missing => Ok(None),
        answer => Err(reason(answer)),
    }
}

/// Why an answer is a failure.
fn reason(answer: Answer) -> String {
    match answer {
        Answer::Failed(reason) => reason,
        _ => "the driver's answer does not fit its step".into(),
    }
}

//! Published files that only the log can give again, and a log that cannot be read at once.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc as threads;
use std::time::Duration;

use crate::common::home::Home;
use crate::common::{Ledger, policy, raw};
use gcs_server::app::catch_up;
use gcs_server::domain::keys::DeploymentKeys;
use gcs_server::publishing::{Files, LocalFolder, Outbox, Publishing, Remake, Worker};
use gcs_server::store::MemoryStore;
use tokio::sync::{mpsc, watch};

/// A published set that is damaged, and in no memory.
struct Damaged {
    ledger: Ledger,
    publishing: Publishing,
    set: PathBuf,
    right: Vec<u8>,
    _home: Home,
}

/// What a log gives.
fn outbox_of(log: &MemoryStore, keys: &DeploymentKeys) -> Outbox {
    catch_up(&mut log.clone(), keys, Outbox::default()).unwrap().outbox
}

impl Damaged {
    async fn new() -> Damaged {
        let home = Home::new();
        let mut ledger = Ledger::with_codes(&policy(), 10);
        ledger.report(0, &[raw(1, 1), raw(2, 1)]);
        ledger.tick();
        let public = Files::local(&home.path("public")).unwrap();
        let private = LocalFolder::at(&home.path("private")).unwrap();
        let publishing = Publishing::new(public, private, ledger.keys.root(), 0);
        publishing.write(&outbox_of(&ledger.store, &ledger.keys)).await.unwrap();
        let (name, right) =
            home.public().into_iter().find(|(name, _)| name.contains("sets")).unwrap();
        let set = home.path("public").join(name);
        fs::write(&set, "damaged").unwrap();
        Damaged { ledger, publishing, set, right, _home: home }
    }

    /// Mends it with what computes from the log, for as long as the sender of inputs lives.
    fn mend(
        &self,
        compute: impl Fn() -> Result<Outbox, String> + Send + Sync + 'static,
    ) -> mpsc::Sender<gcs_server::node::PublicationInput> {
        let (inputs, queue) = mpsc::channel(1);
        let (published, remake) = (watch::Sender::new(None), Remake::new(compute));
        let worker = Worker::new(self.publishing.clone(), None, published, Some(remake));
        let worker = worker.with_pause(Duration::from_millis(1));
        tokio::spawn(worker.run(Outbox::default(), false, queue));
        inputs
    }
}

/// As when the database is away for a moment, or another server erases from the log while it is read.
#[tokio::test]
async fn a_log_that_cannot_be_read_once_is_read_again() {
    let damaged = Damaged::new().await;
    let (calls, log) = (AtomicU32::new(0), damaged.ledger.store.clone());
    let keys = Arc::clone(&damaged.ledger.keys);
    let inputs = damaged.mend(move || match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Err("the database is away".to_owned()),
        1 => panic!("a fault of the program"),
        _ => Ok(outbox_of(&log, &keys)),
    });
    let is_mended = async {
        while fs::read(&damaged.set).unwrap() != damaged.right
            || !damaged.publishing.shelf.unmended().is_empty()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), is_mended).await.expect("the file is mended");
    assert_eq!(damaged.publishing.shelf.mended.get(), 1);
    drop(inputs);
}

#[test]
fn a_stop_does_not_wait_for_files_that_are_computed() {
    let (ended, has_ended) = threads::channel();
    let (release, is_released) = threads::channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (began, has_begun) = tokio::sync::oneshot::channel();
        let held = std::sync::Mutex::new((Some(began), is_released));
        let inputs = runtime.block_on(async {
            let inputs = Damaged::new().await.mend(move || {
                let mut held = held.lock().unwrap();
                let _heard = held.0.take().map(|began| began.send(()));
                let _end_of_test = held.1.recv();
                Err("too late".to_owned())
            });
            has_begun.await.unwrap();
            inputs
        });
        drop(inputs);
        drop(runtime);
        ended.send(()).unwrap();
    });
    has_ended.recv_timeout(Duration::from_secs(20)).expect("the runtime ends");
    drop(release);
}

//! Mending beside what is to be published.

use super::*;
use crate::domain::policy::Policy;
use crate::node::TickPosition;
use crate::publishing::LocalFolder;
use crate::publishing::held::Held;
use crate::random::Random;

fn input(tick: u32) -> PublicationInput {
    let (version, number) = (Version { series: 1, tick }, u64::from(tick));
    PublicationInput {
        tick: TickPosition { version, time: number, position: number, head: [0; 32] },
        policy: Policy::default(),
        key_list: String::new(),
        days: Vec::new(),
        seeds: None,
        exported: None,
    }
}

/// The node waits for its inputs to be taken, and judges nothing meanwhile.
#[tokio::test]
async fn inputs_are_taken_while_storage_does_not_answer_the_mender() {
    let mut storage = Held::with(b"");
    let folder = tempfile::tempdir().unwrap();
    let private = LocalFolder::at(folder.path()).unwrap();
    let root = crate::app::key_file::draw(&Random::seeded(1)).unwrap().root();
    let publishing = Publishing::new(storage.files.clone(), private, root, 0);
    publishing.shelf.set_manifest(&Bytes::from_static(b"a manifest"));
    // Without a builder, a worker ends with the first input.
    let worker = Worker::new(publishing, None, watch::Sender::new(None), None);
    let (inputs, queue) = mpsc::channel(1);
    let worker = worker.with_pause(Duration::from_millis(1));
    let mut worker = tokio::spawn(worker.run(Outbox::default(), false, queue));
    storage.is_asked().await;
    for tick in 1..=3 {
        let sent = tokio::time::timeout(Duration::from_secs(5), inputs.send(input(tick))).await;
        sent.expect("an input is taken at once").unwrap();
    }
    assert!(!worker.is_finished());
    // Nothing else is asked first: the manifest is read, and put back once more.
    storage.let_go_all();
    tokio::time::timeout(Duration::from_secs(5), &mut worker).await.unwrap().unwrap();
}

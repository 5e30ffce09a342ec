//! What comes to the shelf while a client waits for storage.

use super::*;
use crate::publishing::held::Held;

#[tokio::test]
async fn a_file_that_is_deleted_while_a_client_waits_for_it_stays_away() {
    let bytes = Bytes::from_static(b"an index");
    let path = Path::Index(Digest::of(&bytes));
    let (name, mut storage) = (path.to_string(), Held::with(&bytes));
    let root = crate::app::key_file::draw(&crate::random::Random::seeded(1)).unwrap().root();
    let shelf = Arc::new(Shelf::new(storage.files.clone(), root, 1 << 20));
    let put = |places: &mut Places| places.insert(name.as_str().into(), Place::Unchecked(path));
    let find = || {
        let (shelf, name) = (Arc::clone(&shelf), name.clone());
        tokio::spawn(async move { shelf.find(&name).await })
    };

    shelf.change(put);
    let found = find();
    storage.is_asked().await;
    storage.let_go();
    assert_eq!(found.await.unwrap().unwrap().unwrap().length, 8);

    shelf.change(put);
    let found = find();
    storage.is_asked().await;
    shelf.publish(std::iter::empty(), [path].iter(), &BTreeSet::new());
    storage.let_go();
    assert_eq!(found.await.unwrap().unwrap_err(), Damaged);
    assert_eq!((shelf.names(), shelf.doubtful()), (vec![], vec![]));
    assert!(shelf.find(&name).await.unwrap().is_none());
}

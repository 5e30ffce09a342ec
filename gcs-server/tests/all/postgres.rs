//! What only a log in PostgreSQL can suffer.

use std::time::{Duration, Instant};

use crate::common::postgres::{Postgres, execute, postgres, url};
use crate::common::wait::until;
use gcs_server::store::{
    AppendError, Batch, PostgresStore, Store, StoreError, StoredBody, StoredEvent,
};

fn batch(first: u64, id: u8) -> Batch {
    let body = Some(StoredBody { salt: [id; 32], bytes: vec![id; 100] });
    let event = StoredEvent { header: vec![id; 8], body };
    Batch { first, id: [id; 16], events: vec![event.clone(), event] }
}

/// An empty log, and the words that lead to it.
fn log() -> Option<(PostgresStore, String)> {
    let place = postgres()?.database();
    Some((PostgresStore::create(url(&place)).unwrap(), place))
}

#[test]
fn only_a_log_is_opened() {
    let Some(server) = postgres() else { return };
    let place = server.database();
    let error = PostgresStore::open(url(&place)).unwrap_err();
    assert!(matches!(error, StoreError::Empty), "{error}");

    drop(PostgresStore::create(url(&place)).unwrap());
    execute(&place, "UPDATE gcs_log SET version = 2");
    for opened in [PostgresStore::open(url(&place)), PostgresStore::create(url(&place))] {
        assert!(matches!(opened, Err(StoreError::Newer { found: 2, known: 1 })));
    }
    execute(&place, "UPDATE gcs_log SET version = 1, application = 5");
    let error = PostgresStore::open(url(&place)).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { application: 5 }), "{error}");

    let error = PostgresStore::open(url(&server.text("nothing_here"))).unwrap_err();
    assert!(matches!(error, StoreError::Postgres(_)) && error.to_string().contains("nothing_here"));
    let error = PostgresStore::open(url("host=/nowhere user=test")).unwrap_err();
    assert!(matches!(error, StoreError::Postgres(_)), "{error}");
}

#[test]
fn of_many_that_open_a_new_log_all_find_one() {
    let Some(server) = postgres() else { return };
    for _ in 0..5 {
        let place = server.database();
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| PostgresStore::create(url(&place)).unwrap().last().unwrap());
            }
        });
        assert_eq!(PostgresStore::open(url(&place)).unwrap().last().unwrap(), 0);
    }
}

/// Defaults of a database that would lose what it has accepted.
#[test]
fn a_commit_waits_for_the_disk_whatever_the_defaults_are() {
    let Some((store, place)) = log() else { return };
    drop(store);
    let name = place.rsplit('=').next().unwrap();
    // The server says how long each of its appends waited for.
    let watch = "CREATE TABLE seen(level TEXT, timeout TEXT);
        CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO seen VALUES (
                current_setting('synchronous_commit'), current_setting('statement_timeout'));
            RETURN NEW; END $$;
        CREATE TRIGGER see BEFORE INSERT ON gcs_batch FOR EACH ROW EXECUTE FUNCTION see()";
    execute(&place, watch);
    let defaults =
        ["synchronous_commit = off", "synchronous_commit = local", "statement_timeout = 9000"];
    for (first, setting) in (1..).step_by(2).zip(defaults) {
        execute(&place, &format!("ALTER DATABASE {name} SET {setting}"));
        PostgresStore::open(url(&place)).unwrap().append(&batch(first, 1)).unwrap();
        execute(&place, &format!("ALTER DATABASE {name} RESET ALL"));
    }
    let check = "DO $$ BEGIN ASSERT (SELECT COUNT(*) = 3 AND
        BOOL_AND(level = 'on' AND timeout = '0') FROM seen); END $$";
    execute(&place, check);
}

/// The server ends the connection, as for an update of its program.
#[test]
fn a_connection_that_ends_is_made_again() {
    let Some((mut store, place)) = log() else { return };
    for number in 0..10u8 {
        let first = store.last().unwrap() + 1;
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        execute(&place, end);
        if number % 2 == 0 {
            store.append(&batch(first, number)).unwrap();
        } else {
            assert_eq!(store.read(first - 1, 0).unwrap().len(), 1);
            store.append(&batch(first, number)).unwrap();
        }
    }
    assert_eq!(store.last().unwrap(), 20);
    assert_eq!(store.read(1, usize::MAX).unwrap().len(), 10);
}

/// Another writer holds the position and does not end: nothing is acknowledged, nothing piles up, and
/// reading goes on.
#[test]
fn an_append_that_is_not_answered_stays_the_only_one() {
    let Some((mut store, place)) = log() else { return };
    store.append(&batch(1, 1)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap();
    let (other, connection) =
        runtime.block_on(tokio_postgres::connect(&place, tokio_postgres::NoTls)).unwrap();
    runtime.spawn(connection);
    let hold = "BEGIN; INSERT INTO gcs_batch VALUES (3, 3, 'another writer''s', '', '')";
    runtime.block_on(other.batch_execute(hold)).unwrap();

    let mine = batch(3, 2);
    let begun = Instant::now();
    let error = store.append(&mine).unwrap_err();
    assert!(matches!(error, AppendError::Unknown(StoreError::TimedOut(_))), "{error}");
    let error = store.append(&batch(3, 3)).unwrap_err();
    assert!(matches!(error, AppendError::Failed(StoreError::TimedOut(_))), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!(store.last().unwrap(), 2);
    let waiting = "DO $$ BEGIN ASSERT (SELECT COUNT(*) FROM pg_stat_activity \
                   WHERE wait_event_type = 'Lock' AND datname = current_database()) = 1; END $$";
    execute(&place, waiting);

    // The other one gives up: the append that waited is stored.
    runtime.block_on(other.batch_execute("ROLLBACK")).unwrap();
    let error = store.append(&batch(3, 3)).unwrap_err();
    assert!(matches!(error, AppendError::Conflict), "{error}");
    assert!(store.is_durable(&mine).unwrap());
    assert!(!store.is_durable(&batch(3, 3)).unwrap());
    assert_eq!(store.last().unwrap(), 4);
}

#[test]
fn nodes_that_erase_the_same_batch_at_once_erase_both() {
    let Some((mut store, place)) = log() else { return };
    let body = |mark| Some(StoredBody { salt: [mark; 32], bytes: vec![mark; 50] });
    let events = (0..40).map(|mark| StoredEvent { header: vec![1], body: body(mark) }).collect();
    store.append(&Batch { first: 1, id: [1; 16], events }).unwrap();
    std::thread::scope(|scope| {
        for node in 0..4u64 {
            let place = &place;
            scope.spawn(move || {
                let mut store = PostgresStore::open(url(place)).unwrap();
                for round in 0..10 {
                    let event = [1 + node + 4 * round];
                    // With so many at once a try may be in vain; it can be repeated.
                    while let Err(error) = store.erase(&event) {
                        assert!(matches!(error, StoreError::Raced), "{error}");
                    }
                }
            });
        }
    });
    let batches = store.read(1, usize::MAX).unwrap();
    assert!(batches[0].events.iter().all(|event| event.body.is_none()));
}

#[test]
fn what_is_no_batch_in_the_tables_is_found() {
    let Some((mut store, place)) = log() else { return };
    for number in 0..5u8 {
        store.append(&batch(1 + 2 * u64::from(number), number)).unwrap();
    }
    execute(&place, "CREATE TABLE copy AS SELECT * FROM gcs_batch");
    for damage in [
        "UPDATE gcs_batch SET id = '\\x00' WHERE first = 3",
        "UPDATE gcs_batch SET headers = '\\x00' WHERE first = 3",
        "UPDATE gcs_batch SET bodies = headers WHERE first = 3",
        "UPDATE gcs_batch SET last = 9 WHERE first = 3",
        "DELETE FROM gcs_batch WHERE first = 3",
    ] {
        execute(&place, damage);
        let error = store.read(1, usize::MAX).unwrap_err();
        let is_found = matches!(error, StoreError::Corrupt { position: 3, .. });
        assert!(is_found, "{damage}: {error}");
        execute(&place, "DELETE FROM gcs_batch; INSERT INTO gcs_batch SELECT * FROM copy");
        assert_eq!(store.read(1, usize::MAX).unwrap().len(), 5);
    }
}

/// Whatever was acknowledged is on the standby, and the store finds the new primary by itself.
#[test]
fn a_standby_that_takes_over_has_everything_that_was_acknowledged() {
    let Some([primary, standby]) = Postgres::start_pair() else { return };
    let place = format!("host={},{} user=test dbname=postgres", primary.host(), standby.host());
    let mut store = PostgresStore::create(url(&place)).unwrap();
    let (mut acknowledged, mut longest) = (Vec::new(), Duration::ZERO);
    let begun = Instant::now();
    let mut killed = None;
    let mut next = 1;
    for number in 0..1000u32 {
        if number == 300 {
            primary.kill();
            standby.promote();
            killed = Some(begun.elapsed());
        }
        let mut batch = batch(next, 1);
        batch.id[..4].copy_from_slice(&number.to_le_bytes());
        let before = Instant::now();
        // As the server does: what is not known is looked up, and what is not there is sent again.
        until("the batch is in the log", || match store.append(&batch) {
            Ok(()) => true,
            Err(AppendError::Conflict) => panic!("there is no other writer"),
            Err(_) => store.is_durable(&batch).unwrap_or(false),
        });
        longest = longest.max(before.elapsed());
        acknowledged.push(batch.clone());
        next += 2;
    }
    assert_eq!(store.read(1, usize::MAX).unwrap(), acknowledged);
    drop(store);
    let mut survivor = PostgresStore::open(url(&standby.text("postgres"))).unwrap();
    assert_eq!(survivor.read(1, usize::MAX).unwrap(), acknowledged);
    println!("1000 batches, the primary killed after {killed:?}: longest wait {longest:?}");
}

/// A database that was put back to an earlier state, and went on in another way meanwhile.
#[test]
fn nothing_is_appended_behind_an_end_that_is_not_the_one_that_was_seen() {
    let Some((mut store, place)) = log() else { return };
    store.append(&batch(1, 1)).unwrap();
    store.append(&batch(3, 2)).unwrap();
    execute(&place, "DELETE FROM gcs_batch WHERE first = 3");
    let mut other = PostgresStore::open(url(&place)).unwrap();
    assert_eq!(other.last().unwrap(), 2);
    other.append(&batch(3, 9)).unwrap();
    let refused = store.append(&batch(5, 3));
    assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");
    // Whoever has looked again knows what is there.
    assert_eq!(store.last().unwrap(), 4);
    store.append(&batch(5, 3)).unwrap();
    assert_eq!(store.last().unwrap(), 6);
}

#[test]
fn news_is_what_others_have_appended_since() {
    let Some((mut store, place)) = log() else { return };
    // It has not seen an end yet.
    assert!(store.news().unwrap().is_none());
    store.append(&batch(1, 1)).unwrap();
    let news = store.news().unwrap().unwrap();
    assert!(news.batches.is_empty() && news.end == Some(2));

    let mut other = PostgresStore::open(url(&place)).unwrap();
    assert_eq!(other.last().unwrap(), 2);
    for number in 1..8 {
        other.append(&batch(1 + 2 * u64::from(number), number)).unwrap();
    }
    // Some at a time, each once, and then none.
    let mut found = Vec::new();
    loop {
        let news = store.news().unwrap().unwrap();
        assert!(news.end.is_some() || !news.batches.is_empty());
        found.extend(news.batches);
        if let Some(end) = news.end {
            assert_eq!(end, 16);
            break;
        }
    }
    let appended: Vec<_> = (1..8).map(|number| batch(1 + 2 * u64::from(number), number)).collect();
    assert_eq!(found, appended);
    assert!(store.news().unwrap().unwrap().batches.is_empty());
    // Whoever has all news can append.
    store.append(&batch(17, 9)).unwrap();
    assert_eq!(other.news().unwrap().unwrap().batches, [batch(17, 9)]);
}

#[test]
fn of_a_log_that_is_not_the_one_any_more_there_is_no_news() {
    let Some((mut store, place)) = log() else { return };
    store.append(&batch(1, 1)).unwrap();
    store.append(&batch(3, 2)).unwrap();
    // Its end is lost; then it goes on in another way.
    execute(&place, "DELETE FROM gcs_batch WHERE first = 3");
    assert!(store.news().unwrap().is_none());
    let mut other = PostgresStore::open(url(&place)).unwrap();
    assert_eq!(other.last().unwrap(), 2);
    other.append(&batch(3, 9)).unwrap();
    other.append(&batch(5, 9)).unwrap();
    assert!(store.news().unwrap().is_none());
    execute(&place, "DELETE FROM gcs_batch");
    assert!(store.news().unwrap().is_none());
}

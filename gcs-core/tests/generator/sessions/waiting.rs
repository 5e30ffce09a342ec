//! When a client polls.

use super::script::{Session, Wake, first_sync, manifest_and, quiet};
use super::tree::Trees;
use crate::generator::out::Vectors;

pub(super) fn add(vectors: &mut Vectors, trees: &Trees) {
    let main = &trees.main;
    let mut now = main.issued("1-1");
    let note = "the next publication is late: the time that it is late by passes once more, from a \
                minute to the interval";
    let mut session = Session::new("late", note, quiet());
    for (number, wait) in [900, 60, 60, 120, 240, 480, 900, 900].into_iter().enumerate() {
        let fetched = if number == 0 { first_sync(main, "1-1") } else { manifest_and(&[]) };
        let next = now + wait;
        session = session.wake(Wake::at(now, main, "1-1").fetches(fetched).next(next, next));
        now = next;
    }
    session.end(vectors);

    // A minute is the shortest time between two wakes.
    let next = main.issued("1-2");
    Session::new("soon", "the next publication is expected in 59 seconds", quiet())
        .wake(
            Wake::at(next - 59, main, "1-1")
                .fetches(first_sync(main, "1-1"))
                .next(next + 1, next + 1),
        )
        .wake(Wake::at(next, main, "1-1").next(next + 60, next + 60))
        .end(vectors);
}

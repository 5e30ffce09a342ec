//! How many connections the listeners may have, by how many files the process may have open.

use crate::http::with_ending;

/// Most places for connections of the public listener. Each takes some 10 kB of memory before its first request, and
/// some 70 kB after a large answer.
const MOST_PLACES: usize = 8192;

/// Most files that are kept for anything but connections: the log, published files, the threads of many
/// cores.
const MOST_KEPT: usize = 512;

/// Most places of the private listener. It has its own, so that nothing that happens to the public one can
/// take away the operator's.
const MOST_PRIVATE: usize = 512;

/// Places for connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) public: usize,
    pub(super) private: usize,
}

/// Allows this process as many open files as the system lets it, and divides them up.
pub(super) fn places() -> Places {
    let files = raise();
    let places = divide(files);
    if places.public < MOST_PLACES / 4 {
        let Places { public, private } = places;
        tracing::warn!(
            files,
            public,
            private,
            "this process may have few open files, so it takes few connections at once; allow it 16384 \
             (systemd: LimitNOFILE=16384; a shell: ulimit -n 16384)"
        );
    }
    places
}

fn divide(files: usize) -> Places {
    let (kept, private) = ((files / 4).min(MOST_KEPT), (files / 4).min(MOST_PRIVATE));
    let within = |files: usize| {
        let places = files.saturating_sub(8) / 9 * 8;
        debug_assert!(with_ending(places) <= files.max(8));
        places.max(1)
    };
    Places { public: within(files - kept - private).min(MOST_PLACES), private: within(private) }
}

/// Raises the limit of open files to the highest that is allowed, and returns it.
#[cfg(unix)]
fn raise() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    // The highest is allowed, but a system may have a lower limit than it says.
    let now = if setrlimit(Resource::Nofile, limit).is_ok() { limit.current } else { before };
    now.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
fn raise() -> usize {
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_enough_for_all_places() {
        let all = (1..20_000).chain([1 << 20, usize::MAX]);
        for files in all {
            let Places { public, private } = divide(files);
            assert!(public >= 1 && private >= 1);
            if files >= 64 {
                assert!(with_ending(public) + with_ending(private) <= files - files.min(2048) / 4);
            }
        }
        assert_eq!(divide(16_384), Places { public: MOST_PLACES, private: 448 });
        assert_eq!(divide(1024), Places { public: 448, private: 216 });
    }
}

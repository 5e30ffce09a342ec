//! Manifests that are not accepted.

use super::script::{Session, Wake, first_sync, manifest_and, quiet};
use super::tree::Trees;
use crate::generator::out::Vectors;
use crate::world::online_key;

pub(super) fn add(vectors: &mut Vectors, trees: &Trees) {
    let Trees { main, fork, keys5, keys4, .. } = trees;
    let now = main.issued("1-2");
    let synced = Wake::at(now, main, "1-2").fetches(first_sync(main, "1-2"));
    let refused =
        |wake: Wake, class: &str| wake.fetches(manifest_and(&[])).holds(main, "1-2").fails(class);
    for (name, note, wake, class) in [
        ("rolled-back", "an older manifest", Wake::at(now + 900, main, "1-1"), "RolledBack"),
        (
            "equivocation",
            "another manifest of the same series and tick, with another state",
            Wake::at(now + 900, fork, "1-2"),
            "Equivocation",
        ),
        (
            "expired",
            "the manifest expires in this second",
            Wake::at(now + 86_400, main, "1-2").behind(),
            "Manifest.Expired",
        ),
    ] {
        let at = if name == "expired" { now + 86_400 } else { now + 900 };
        Session::new(name, note, quiet())
            .wake(synced.clone())
            .wake(refused(wake, class).next(at + 600, at + 1199))
            .end(vectors);
    }

    let last = now + 86_399;
    Session::new("nearly-expired", "the manifest expires in the next second", quiet())
        .wake(Wake::at(last, main, "1-2").fetches(first_sync(main, "1-2")))
        .wake(Wake::at(last + 1, main, "1-2").behind())
        .end(vectors);

    let now = keys5.issued("1-1");
    Session::new("keys-rolled-back", "a newer manifest with an older key list", quiet())
        .wake(Wake::at(now, keys5, "1-1").fetches(first_sync(keys5, "1-1")))
        .wake(
            Wake::at(now + 900, keys4, "1-2")
                .fetches(manifest_and(&[]))
                .holds(keys5, "1-1")
                .fails("Manifest.KeysRolledBack"),
        )
        .end(vectors);

    let mut settings = quiet();
    settings["root"] = online_key().public().to_string().into();
    Session::new("other-root", "another root key is pinned", settings)
        .wake(
            Wake::at(now, main, "1-1")
                .fetches(manifest_and(&[]))
                .holds_nothing()
                .fails("Manifest.RootSignature"),
        )
        .end(vectors);
}

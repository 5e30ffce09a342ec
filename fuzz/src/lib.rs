//! The bodies of the fuzz targets as ordinary functions, so that an ordinary test can run them.
//!
//! Every body takes any bytes and asserts a property: that gcs-core reads them as the naive
//! reader of its tests does, a round trip, or a property of a whole deployment. None only
//! looks for crashes.

mod export_lists;
mod files;
mod history;
mod identifiers;
mod manifest;
#[path = "../../gcs-core/tests/naive/mod.rs"]
mod naive;
mod publisher;
mod reader;
mod seed_files;
mod seed_lists;
pub mod seeds;
mod server;
mod set_index;
mod sets;
mod streams;
mod sync;
mod text;
#[path = "../../gcs-core/tests/world/mod.rs"]
mod world;

pub use export_lists::export_list;
pub use files::{bundle, bundle_resealed, index, record, table};
pub use identifiers::{export, export_zip, packet, tcn_report, temp_id, upload};
pub use manifest::{manifest, manifest_resealed};
pub use publisher::publisher;
pub use seed_files::{seed_bundle, seed_index};
pub use seed_lists::{seed_delta, seed_list};
pub use server::{code, event, report};
pub use set_index::set_index;
pub use sets::{delta, delta_of_sets, delta_resealed, set, set_resealed};
pub use sync::sync;
pub use text::{date, exact, path};

/// A target: its name, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 32] = [
    ("set", set),
    ("set_resealed", set_resealed),
    ("set_index", set_index),
    ("delta", delta),
    ("delta_resealed", delta_resealed),
    ("delta_of_sets", delta_of_sets),
    ("seed_list", seed_list),
    ("seed_delta", seed_delta),
    ("seed_index", seed_index),
    ("seed_bundle", seed_bundle),
    ("export_list", export_list),
    ("table", table),
    ("index", index),
    ("bundle", bundle),
    ("bundle_resealed", bundle_resealed),
    ("record", record),
    ("manifest", manifest),
    ("manifest_resealed", manifest_resealed),
    ("path", path),
    ("date", date),
    ("exact", exact),
    ("publisher", publisher),
    ("sync", sync),
    ("code", code),
    ("event", event),
    ("report", report),
    ("temp_id", temp_id),
    ("packet", packet),
    ("upload", upload),
    ("export", export),
    ("export_zip", export_zip),
    ("tcn_report", tcn_report),
];

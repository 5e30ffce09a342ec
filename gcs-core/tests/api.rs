//! What every public type of sets can do, whatever it is made of.

use std::fmt::Debug;
use std::fs::File;
use std::panic::{RefUnwindSafe, UnwindSafe};

use gcs_core::seeds::{NoteError, SeedBuildError, SeedDelta, SeedDeltaError, SeedList, Seeds};
use gcs_core::set::algebra::{AlgebraError, Combined, Operation};
use gcs_core::set::{
    BuildError, CombinedReader, DeltaError, ExternalBuilder, ExternalError, Fingerprints,
    IndexError, IndexedFile, ParamsError, ReadError, SaltError, SetReader, SetSink, SinkError,
    StreamError,
};
use gcs_core::{
    Delta, Digest, ElementHasher, HashRange, IndexedSet, Iter, Match, Matches, Method, ParseError,
    Salt, Set, SetBuilder, SetInfo,
};

fn can_go_to_any_thread<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + Debug>() {}

fn is_a_value<T: Clone + PartialEq + Eq>() {}

fn is_an_error<T: core::error::Error + Send + Sync + 'static>() {}

fn has_bytes<T: AsRef<[u8]>>() {}

/// A type that stops to be one of these breaks programs of others, so it fails to compile here.
#[test]
fn auto_traits_and_common_traits_stay() {
    can_go_to_any_thread::<Set>();
    can_go_to_any_thread::<Set<&[u8]>>();
    can_go_to_any_thread::<IndexedSet>();
    can_go_to_any_thread::<IndexedSet<&[u8]>>();
    can_go_to_any_thread::<Delta>();
    can_go_to_any_thread::<SetBuilder>();
    can_go_to_any_thread::<ElementHasher>();
    can_go_to_any_thread::<Fingerprints<std::vec::IntoIter<Vec<u8>>>>();
    can_go_to_any_thread::<Iter<'_>>();
    can_go_to_any_thread::<(Match, Matches, Method, HashRange, Salt, Digest, SetInfo)>();
    can_go_to_any_thread::<(Combined<'_>, Operation)>();
    can_go_to_any_thread::<SetReader<File>>();
    can_go_to_any_thread::<SetSink<File>>();
    can_go_to_any_thread::<CombinedReader<File>>();
    can_go_to_any_thread::<ExternalBuilder>();
    can_go_to_any_thread::<IndexedFile<File, File>>();
    can_go_to_any_thread::<IndexedFile<std::sync::Arc<File>, Box<[u8]>>>();

    #[cfg(feature = "dp3t")]
    {
        use gcs_core::identifiers::dp3t::DayKeys;
        can_go_to_any_thread::<SeedList<DayKeys>>();
        can_go_to_any_thread::<SeedDelta<DayKeys, &[u8]>>();
        can_go_to_any_thread::<Seeds<'_, DayKeys>>();
        is_a_value::<SeedList<DayKeys>>();
        is_a_value::<SeedDelta<DayKeys>>();
        has_bytes::<SeedList<DayKeys>>();
    }

    is_a_value::<Set>();
    is_a_value::<(NoteError, SeedBuildError, SeedDeltaError)>();
    is_a_value::<Delta>();
    is_a_value::<(Match, Matches, Method, HashRange, Salt, Digest)>();
    is_a_value::<(ParamsError, BuildError, DeltaError, SaltError, ParseError, AlgebraError)>();

    is_an_error::<ParamsError>();
    is_an_error::<BuildError>();
    is_an_error::<DeltaError>();
    is_an_error::<SaltError>();
    is_an_error::<ParseError>();
    is_an_error::<AlgebraError>();
    is_an_error::<ReadError>();
    is_an_error::<SinkError>();
    is_an_error::<StreamError>();
    is_an_error::<ExternalError>();
    is_an_error::<IndexError>();
    is_an_error::<NoteError>();
    is_an_error::<SeedBuildError>();
    is_an_error::<SeedDeltaError>();

    has_bytes::<Set>();
    has_bytes::<Delta<&[u8]>>();
    has_bytes::<Salt>();
    has_bytes::<Digest>();
}

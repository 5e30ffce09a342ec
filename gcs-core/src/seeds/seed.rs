//! What a list holds.

use alloc::fmt::Debug;

use crate::error::NoteError;

/// A seed that a list can hold: secret bytes from which a phone computes what another broadcast,
/// and the note that it needs beside them.
///
/// | implementor | kind | bytes | note |
/// |---|---|---|---|
/// | `identifiers::dp3t::DayKeys` | 1 | 32 | the first date and the number of days |
/// | `identifiers::dp3t::WindowSeed` | 2 | 16 | length and number of the window |
/// | `identifiers::gaen::ExportKey` | 3 | 16 | rolling start and period, and what is known of the report |
///
/// Kinds from [`FIRST_PRIVATE_KIND`] on are for seeds of your own:
///
/// ```
/// use gcs_core::seeds::{FIRST_PRIVATE_KIND, NoteError, Seed, SeedList};
///
/// /// A key of 20 bytes, and the hour in which it was used.
/// #[derive(Clone, Debug, PartialEq)]
/// struct HourKey { hour: u8, key: [u8; 20] }
///
/// impl Seed for HourKey {
///     const KIND: u16 = FIRST_PRIVATE_KIND;
///     type Note = [u8; 1];
///     type Bytes = [u8; 20];
///
///     fn to_parts(&self) -> Result<([u8; 1], [u8; 20]), NoteError> {
///         HourKey::from_parts([self.hour], self.key).map(|_| ([self.hour], self.key))
///     }
///
///     fn from_parts([hour]: [u8; 1], key: [u8; 20]) -> Result<HourKey, NoteError> {
///         NoteError::unless_within("hour", 0..=23, hour.into()).map(|()| HourKey { hour, key })
///     }
/// }
///
/// let list = SeedList::build([HourKey { hour: 7, key: [1; 20] }])?;
/// assert_eq!(list.iter().next(), Some(HourKey { hour: 7, key: [1; 20] }));
/// assert!(SeedList::build([HourKey { hour: 24, key: [1; 20] }]).is_err());
/// # Ok::<(), gcs_core::seeds::SeedBuildError>(())
/// ```
pub trait Seed: Sized {
    /// The number of its kind in files.
    const KIND: u16;

    /// Its note: an array of 1 to 16 bytes. Seeds are sorted by their notes first.
    type Note: ByteArray;

    /// The seed itself: an array of 8 to 64 bytes, evenly spread.
    type Bytes: ByteArray;

    /// How many of the first bytes of a note say when the seed was used; those behind them say what
    /// is known of its report. A publisher lists the same seed of the same time once.
    const TIME_LEN: usize = Self::Note::LEN;

    /// Its note, and its bytes.
    ///
    /// # Errors
    /// [`NoteError`] if something of it has no place in a note.
    fn to_parts(&self) -> Result<(Self::Note, Self::Bytes), NoteError>;

    /// The seed of a note and of bytes. Whether it fails must depend on the note alone: the note
    /// of a group is checked once, with bytes that are all zero.
    ///
    /// # Errors
    /// [`NoteError`] if no seed has this note.
    fn from_parts(note: Self::Note, bytes: Self::Bytes) -> Result<Self, NoteError>;
}

/// The first kind that this format leaves to everybody.
pub const FIRST_PRIVATE_KIND: u16 = 1 << 15;

/// An array of bytes. Implemented for all of them, and for nothing else.
pub trait ByteArray:
    Copy + Ord + Debug + AsRef<[u8]> + AsMut<[u8]> + Send + Sync + 'static + sealed::Sealed
{
    /// Its length.
    const LEN: usize;
    /// All zero.
    const ZERO: Self;
}

impl<const N: usize> ByteArray for [u8; N] {
    const LEN: usize = N;
    const ZERO: [u8; N] = [0; N];
}

mod sealed {
    pub trait Sealed {}
    impl<const N: usize> Sealed for [u8; N] {}
}

//! The keys of an authority, a type for each purpose.

use crate::identifiers::secret::Secret;

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        ///
        /// 32 bytes from a cryptographic source of randomness, which are used for nothing else.
        /// Its memory is wiped when dropped; `Debug` shows nothing of it.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(pub(super) Secret<32>);

        impl $name {
            /// The key of these secret bytes.
            pub fn new(secret: [u8; 32]) -> $name {
                $name(Secret(secret))
            }
        }
    )*};
}

keys! {
    /// What an authority encrypts TempIDs with. A [`KeyRing`](super::KeyRing) has such keys of
    /// its own, one a day; OpenTrace has one for all time.
    TempIdKey
    /// What an authority seals upload tokens with. A key for another purpose is another type:
    ///
    /// ```compile_fail,E0308
    /// use gcs_core::identifiers::bluetrace::{TempIdKey, UploadToken};
    ///
    /// let _ = UploadToken::open(&TempIdKey::new([7; 32]), "text", 0);
    /// ```
    TokenKey
    /// What an authority makes handshake PINs with.
    PinKey
    /// What an authority makes PseudoIDs with, one key for each authority that asks.
    PseudoIdKey
}

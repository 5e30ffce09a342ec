//! Whether storage honours the conditions of a write. Without them a server that was paused could put an older
//! manifest in the place of a newer one, and nobody would be told.

use std::fmt;

use bytes::Bytes;
use object_store::{Attributes, Error, PutMode, UpdateVersion};

use super::{Files, PATIENCE};

/// A condition that storage ignores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// What is there must not be written over.
    IfNoneMatch,
    /// Only the version that was read may be written over.
    IfMatch,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ignored::IfNoneMatch => "If-None-Match",
            Ignored::IfMatch => "If-Match",
        })
    }
}

impl Files {
    /// Tries the conditions on a small object below this name, which nobody else has, and deletes it again. Gives the one
    /// that is ignored, if one is.
    ///
    /// # Errors
    /// When that cannot be known: the storage is away, or refuses. Conditions that the operator has turned off are
    /// not tried.
    pub(in crate::publishing) async fn ignored_condition(
        &self,
        name: &str,
    ) -> Result<Option<Ignored>, Error> {
        if !self.is_remote() {
            return Ok(None);
        }
        let tried = tokio::time::timeout(PATIENCE, self.try_conditions(name)).await;
        let tried = match tried {
            Ok(Err(Error::NotImplemented { .. })) => return Ok(None),
            Ok(tried) => tried,
            Err(late) => Err(Error::Generic { store: "conditions", source: late.into() }),
        };
        // It is small, and nobody reads it.
        let name = [name.to_owned()];
        let _left_behind = tokio::time::timeout(PATIENCE, self.delete(&name)).await;
        tried
    }

    async fn try_conditions(&self, name: &str) -> Result<Option<Ignored>, Error> {
        let first = self.put_version(name, b"first", PutMode::Create).await?;
        match self.put_version(name, b"again", PutMode::Create).await {
            Ok(_) => return Ok(Some(Ignored::IfNoneMatch)),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
            Err(error) => return Err(error),
        }
        self.put_version(name, b"second", PutMode::Update(first.clone())).await?;
        match self.put_version(name, b"third", PutMode::Update(first)).await {
            Ok(_) => Ok(Some(Ignored::IfMatch)),
            Err(Error::Precondition { .. } | Error::AlreadyExists { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn put_version(
        &self,
        name: &str,
        bytes: &[u8],
        mode: PutMode,
    ) -> Result<UpdateVersion, Error> {
        let bytes = Bytes::copy_from_slice(bytes);
        Ok(self.put_opts(name, bytes, mode, Attributes::new()).await?.into())
    }
}

//! The certificates of both listeners.

use std::net::SocketAddr;

use crate::app::config::Config;
use crate::http::{Tls, TlsError, TlsFiles};

/// What each listener identifies itself with; `None` if it speaks without TLS.
#[derive(Clone, Debug)]
pub struct Certificates {
    pub(super) public: Option<Tls>,
    pub(super) private: Option<Tls>,
}

impl Certificates {
    /// Reads what the settings name.
    pub(super) fn load(config: &Config) -> Result<Certificates, TlsError> {
        let load = |files: Option<TlsFiles>| files.as_ref().map(Tls::load).transpose();
        Ok(Certificates {
            public: load(config.public_tls())?,
            private: load(config.private_tls())?,
        })
    }

    /// The URLs of both listeners, which have these addresses.
    pub(super) fn urls(&self, public: SocketAddr, private: SocketAddr) -> [String; 2] {
        let url = |tls: &Option<Tls>, address| {
            let scheme = if tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{address}")
        };
        [url(&self.public, public), url(&self.private, private)]
    }

    /// Reads the files again, of a listener that has TLS and still is to have it.
    ///
    /// # Errors
    /// The first file that cannot be used. Of its listener, what was read before stays.
    pub fn reload(&self, config: &Config) -> Result<(), TlsError> {
        let listeners =
            [(&self.public, config.public_tls()), (&self.private, config.private_tls())];
        for (tls, files) in listeners {
            if let (Some(tls), Some(files)) = (tls, files) {
                tls.reload(&files)?;
            }
        }
        Ok(())
    }
}

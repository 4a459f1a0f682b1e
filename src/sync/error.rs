//! What ends a pass, or a part of it.

use crate::http::{Disposition, FetchError};
use crate::store::StoreError;

/// Why a stream, a conversation or a whole pass could not go on.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The provider goes in circles, and there is no further rung.
    #[error("the provider sends the same page again and again; what came before it is stored")]
    Stalled,
}

impl PassError {
    /// Whether nothing else of the source can go on.
    pub(crate) fn ends_source(&self) -> bool {
        match self {
            Self::Fetch(error) => error.disposition() == Disposition::StopSource,
            Self::Store(_) => true,
            Self::Stalled => false,
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        matches!(self, Self::Fetch(FetchError::Cancelled))
    }

    pub(crate) fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Fetch(FetchError::Unauthorized { .. }))
    }

    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Fetch(FetchError::Forbidden { .. }))
    }

    /// Whether the provider as a whole seems to fail, rather than one item of it.
    pub(crate) fn is_the_providers(&self) -> bool {
        matches!(self, Self::Fetch(FetchError::Unavailable { .. } | FetchError::Unreadable { .. }))
    }

    /// Whether the key lacks a permission, or the provider lacks the endpoint: that will not pass by itself.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::Fetch(FetchError::Forbidden { .. } | FetchError::NotFound { .. } | FetchError::Rejected { .. })
        )
    }

    pub(crate) fn is_deferred(&self) -> bool {
        matches!(self, Self::Fetch(FetchError::Deferred { .. }))
    }
}

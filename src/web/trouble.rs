//! Why a question is not answered: one variant for each status.

use axum::http::StatusCode;

use crate::store::StoreError;

/// What stands in the way, told as something to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// There is no such thing.
    #[error("{0}")]
    Missing(String),
    /// The question makes no sense.
    #[error("{0}")]
    Refused(String),
    /// Too many others ask.
    #[error("too many questions at once; ask again in a moment")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Trouble {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Refused(_) => StatusCode::BAD_REQUEST,
            Self::Busy | Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

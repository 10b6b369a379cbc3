//! Errors of logins and calls: status, time of the next attempt, and a request that got no
//! response.

use super::{Error, Facts, Unanswered};
use bootseal_core::Kind;
use std::sync::Arc;
use std::time::Duration;

impl Error {
    pub(crate) fn with_status(self, status: Option<u16>) -> Error {
        let facts = Arc::unwrap_or_clone(self.0);
        Error(Arc::new(Facts { status, ..facts }))
    }

    pub(crate) fn with_retry_after(&self, retry_after: Duration) -> Error {
        Error(Arc::new(Facts { retry_after: Some(retry_after), ..(*self.0).clone() }))
    }

    /// A call that got no response.
    fn unanswered(text: String, connect: bool, timeout: bool) -> Error {
        let error = bootseal_core::Error::new(Kind::Io, text);
        let unanswered = Some(Unanswered { connect, timeout });
        let facts = Facts::from(error);
        Error(Arc::new(Facts { unanswered, ..facts }))
    }

    /// Marks the error as one of this process, which has no descriptor or guarded memory left.
    pub(crate) fn out_of_resources(self) -> Error {
        let facts = Arc::unwrap_or_clone(self.0);
        Error(Arc::new(Facts { out_of_resources: true, ..facts }))
    }
}

impl From<bootseal_wire::Error> for Error {
    fn from(error: bootseal_wire::Error) -> Error {
        use bootseal_wire::Error as Wire;
        let out_of_resources = error.is_out_of_resources();
        let error = match error {
            // Our own check of the host failed, so the error is already an error of this crate.
            Wire::NotAllowed(own) => own
                .downcast()
                .map_or_else(|other| Error::new(Kind::Usage, other.to_string()), |own| *own),
            Wire::Unusable(text) => Error::new(Kind::Usage, text),
            Wire::Setup(text) => Error::new(Kind::LoginTls, text),
            Wire::System(text) => Error::new(Kind::Io, text),
            unanswered => Error::unanswered(
                unanswered.to_string(),
                unanswered.is_connect(),
                unanswered.is_timeout(),
            ),
        };
        if out_of_resources { error.out_of_resources() } else { error }
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Error {
        // A URL's query may contain a secret.
        let error = error.without_url();
        Error::unanswered(bootseal_wire::chain(&error), error.is_connect(), error.is_timeout())
    }
}

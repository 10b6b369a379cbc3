//! The outcome of a login: a new token, or a failure with its class.

use crate::login::account::Values;
use crate::login::expiry::Lifetime;
use bootseal_core::{Kind, Secret};
use http::HeaderName;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The maximum length of a token in bytes. Each call carries the token, and a proxy searches each
/// response for it, so its length multiplies the cost of every call.
pub(crate) const MAX_TOKEN: usize = 64 * 1024;

/// The maximum length of all headers of a call that contain the token or captured values.
pub(crate) const MAX_CALL_HEADERS: usize = 128 * 1024;

/// The result of one login.
#[derive(Debug)]
pub(crate) enum Outcome {
    Token(Fresh),
    Failed(Failure),
}

/// A newly issued token, and the other results of the login.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) secret: Secret,
    pub(crate) lifetime: Lifetime,
    /// The status of the login's response.
    pub(crate) status: u16,
    pub(crate) captured: Values,
    /// The headers of a call, with the token filled in.
    pub(crate) headers: Vec<(HeaderName, Secret)>,
    /// The vendor's clock minus ours, in seconds, if the response had a `Date`.
    pub(crate) clock_skew: Option<f64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) class: Class,
    /// The text of the failure, which continues a sentence that begins with the vendor's origin.
    pub(crate) text: String,
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    /// A failure of this process, before any byte was sent.
    pub(crate) fn out_of_resources(text: impl Into<String>) -> Failure {
        Failure { class: Class::OutOfResources { unsent: true }, ..Failure::down(text) }
    }

    /// A failure without a response from the vendor.
    pub(crate) fn down(text: impl Into<String>) -> Failure {
        Failure {
            class: Class::Down { unsent: false },
            text: text.into(),
            status: None,
            retry_after: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The credentials are wrong, so no further login is made with them.
    Refused,
    /// The credentials may be wrong. A second such response in a row counts as a refusal.
    PerhapsRefused,
    Throttled,
    /// The vendor is down or unreachable, or the connection broke; `unsent` if no byte was sent.
    Down {
        unsent: bool,
    },
    Tls,
    /// This process has no file descriptor or guarded memory left; `unsent` if no byte was sent.
    /// The vendor and the credentials are not at fault.
    OutOfResources {
        unsent: bool,
    },
    /// The response is not what the profile describes.
    Protocol,
    /// The response claims success but contains no token.
    NoToken,
    Redirect,
}

impl Class {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Class::Refused | Class::PerhapsRefused => Kind::LoginRefused,
            Class::Throttled => Kind::LoginThrottled,
            Class::Down { .. } => Kind::LoginDown,
            Class::Tls => Kind::LoginTls,
            Class::OutOfResources { .. } => Kind::Io,
            Class::Protocol | Class::NoToken | Class::Redirect => Kind::LoginProtocol,
        }
    }
}

/// Evidence from consecutive failures that the credentials are wrong. The login history stores it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefusalHints {
    #[serde(default)]
    pub(crate) perhaps_refused: bool,
    /// The number of responses that claimed success but contained no token.
    #[serde(default)]
    pub(crate) without_token: u32,
}

impl RefusalHints {
    /// Whether a failure of this class now means that the credentials are wrong.
    pub(crate) fn refuses(self, class: Class) -> bool {
        match class {
            Class::Refused => true,
            Class::PerhapsRefused => self.perhaps_refused,
            // Some vendors report a wrong password with status 200.
            Class::NoToken => self.without_token >= 2,
            _ => false,
        }
    }

    /// The hints after another failure of this class.
    pub(crate) fn after(self, class: Class) -> RefusalHints {
        let without_token =
            if class == Class::NoToken { self.without_token.saturating_add(1) } else { 0 };
        RefusalHints { perhaps_refused: class == Class::PerhapsRefused, without_token }
    }
}

pub(crate) fn failed(class: Class, status: Option<u16>, text: impl Into<String>) -> Outcome {
    Outcome::Failed(Failure { class, text: text.into(), status, retry_after: None })
}

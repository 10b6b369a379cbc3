//! The rules for sending a request again after its connection failed.
//!
//! A request that the upstream provably did not process may be sent again, whatever its method:
//! its head was never written, a GOAWAY frame names an earlier stream as the last one (RFC 9113
//! §6.8), or the stream was refused (§8.7). If a kept connection ends before any byte of the
//! response, the upstream has probably closed it in the same moment; a request with an idempotent
//! method may then be sent once more (RFC 9110 §9.2.2).

use http::Method;

/// The most attempts for one request. Only a GOAWAY frame without an error may repeat: an upstream
/// may take a few calls per connection.
const MOST: u32 = 32;
/// The most attempts after connections that were closed before anything was written.
const MOST_UNSENT: u32 = 5;
/// After so many connections that were closed before anything was written, a new one is made.
const CLOSED_UNUSED: u32 = 3;

/// The reason why a request is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResendReason {
    /// Its head was never written.
    Unsent,
    /// The upstream ended the connection, and did not process the request.
    GoAway,
    /// The same, because of an error that the upstream names.
    GoAwayForError,
    /// The upstream refused the request unprocessed.
    Refused,
    /// A kept connection was closed as the request arrived.
    Closed,
}

impl ResendReason {
    /// The reason as a word, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            ResendReason::Unsent => "unsent",
            ResendReason::GoAway | ResendReason::GoAwayForError => "goaway",
            ResendReason::Refused => "refused",
            ResendReason::Closed => "closed",
        }
    }
}

/// The attempts at one request so far.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    made: u32,
    unsent: u32,
    refused: bool,
    closed: bool,
}

impl Attempts {
    /// Counts an attempt that failed for `reason`. Returns whether one more may follow.
    pub(crate) fn may_follow(&mut self, reason: ResendReason, method: &Method) -> bool {
        self.made += 1;
        let allowed = match reason {
            ResendReason::Unsent => {
                self.unsent += 1;
                self.unsent <= MOST_UNSENT
            }
            ResendReason::GoAway => true,
            // The request itself may be the cause.
            ResendReason::Refused | ResendReason::GoAwayForError => {
                !std::mem::replace(&mut self.refused, true)
            }
            ResendReason::Closed => {
                method.is_idempotent() && !std::mem::replace(&mut self.closed, true)
            }
        };
        allowed && self.made < MOST
    }

    /// Whether the next attempt must use a new connection.
    pub(crate) fn need_new_connection(&self) -> bool {
        self.closed || self.unsent >= CLOSED_UNUSED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_idempotent_call_is_sent_again_after_a_closed_connection_and_only_once() {
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"] {
            let (mut attempts, method) =
                (Attempts::default(), Method::from_bytes(method.as_bytes()).unwrap_or_default());
            assert!(attempts.may_follow(ResendReason::Closed, &method), "{method}");
            assert!(attempts.need_new_connection());
            assert!(!attempts.may_follow(ResendReason::Closed, &method), "{method}");
        }
        for method in [Method::POST, Method::PATCH] {
            assert!(!Attempts::default().may_follow(ResendReason::Closed, &method), "{method}");
            assert!(Attempts::default().may_follow(ResendReason::GoAway, &method), "{method}");
        }
    }

    #[test]
    fn the_number_of_attempts_is_bounded() {
        let mut attempts = Attempts::default();
        assert!(attempts.may_follow(ResendReason::Refused, &Method::POST));
        assert!(!attempts.may_follow(ResendReason::Refused, &Method::POST));
        for (reason, most) in [(ResendReason::GoAway, 31), (ResendReason::Unsent, 5)] {
            let mut attempts = Attempts::default();
            let made = (0..99).take_while(|_| attempts.may_follow(reason, &Method::GET)).count();
            assert_eq!(made, most);
        }
    }
}

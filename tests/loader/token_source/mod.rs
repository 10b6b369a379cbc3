//! The token source against a scripted vendor, with a clock that the test moves: no test sleeps or
//! opens a socket.

mod bad_responses;
mod lifetime;
mod outages;
mod rejection;
mod requests;
mod single_flight;
mod wrong_password;

use bootseal::testing::Clock;
use bootseal::{
    Error, ExpiryFrom, Kind, LoginRequest, LoginResponse, Secret, Token, TokenSource, Transport,
    TransportError,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex};
use std::task::Poll;
use std::time::Duration;

// Unless a test says otherwise, a token has a lifetime of an hour: with the clock's fixed jitter of
// 0.5 it is stale after 2880 s and expired after 3540 s.
const STALE: Duration = Duration::from_secs(2880);
const DEAD: Duration = Duration::from_secs(3540);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);

const NEW_YEAR: Duration = Duration::from_secs(1_767_225_600);
const TOKEN: &str = r#"{"access_token":"found"}"#;

/// One account: its source, its clock and its vendor.
struct Acme {
    source: TokenSource,
    clock: Clock,
    /// The number of finished logins.
    landings: Counter,
    /// The number of reads of the clock, which can be held.
    reads: Counter,
    time: Latch,
    vendor: Vendor,
}

impl Acme {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Acme {
        Acme::with("", replies)
    }

    /// `profile` is added to `[acme.login]`. After the last reply, login n returns the token
    /// `token-n` with a lifetime of an hour.
    fn with(profile: &str, replies: impl IntoIterator<Item = Reply>) -> Acme {
        let (clock, vendor) = (Clock::new(), Vendor::default());
        *vendor.replies.lock().unwrap() = replies.into_iter().collect();
        let watched = Watched { clock: clock.clone(), ..Watched::default() };
        let (landings, reads, time) =
            (watched.landings.clone(), watched.reads.clone(), watched.time.clone());
        let source = vault(profile)
            .token_source_with("acme", Arc::new(watched), Arc::new(vendor.clone()))
            .unwrap();
        Acme { source, clock, landings, reads, time, vendor }
    }

    fn token(&self) -> String {
        text(&self.source.token_blocking().unwrap())
    }

    fn error(&self) -> Error {
        self.source.token_blocking().unwrap_err()
    }

    fn sends(&self) -> usize {
        self.vendor.sent.get()
    }

    /// A thousand tasks that wait for a held login.
    fn ask_a_thousand_times(&self) -> Vec<tokio::task::JoinHandle<Result<Token, Error>>> {
        let arrivals = Counter::default();
        let ask = |_| {
            let source = self.source.clone();
            tokio::spawn(arriving(arrivals.clone(), async move { source.token().await }))
        };
        let tasks = (0..1000).map(ask).collect();
        arrivals.wait_for(1000);
        tasks
    }

    /// Makes the first login, which takes `time`.
    fn log_in_for(&self, time: Duration) {
        self.vendor.hold();
        let mut asked = pin!(self.source.token());
        assert!(poll_once(asked.as_mut()).is_pending());
        self.vendor.sent.wait_for(1);
        self.clock.advance(time);
        self.vendor.release();
        self.landings.wait_for(1);
    }

    /// Advances the clock by `wait`, and checks that there is no attempt a millisecond before.
    fn backs_off_for(&self, wait: Duration) {
        let before = self.sends();
        self.clock.advance(wait - MILLISECOND);
        assert_eq!(self.error().retry_after(), Some(MILLISECOND));
        assert_eq!(self.sends(), before);
        self.clock.advance(MILLISECOND);
    }
}

fn vault(profile: &str) -> bootseal::Secrets {
    let json = r#"json = { user = "${username}", password = "${password}" }"#;
    let readable =
        format!("[acme.login]\nurl = \"https://api.acme.example/login\"\n{json}\n{profile}\n");
    bootseal::testing::vault(
        [("acme.username", "canary-user"), ("acme.password", "canary-password")],
        &readable,
    )
    .unwrap()
}

/// The test's clock with counters: each login draws its jitter once, under the lock that publishes
/// its result.
#[derive(Default)]
struct Watched {
    clock: Clock,
    landings: Counter,
    reads: Counter,
    time: Latch,
}

impl bootseal::Clock for Watched {
    fn monotonic(&self) -> Duration {
        self.reads.add();
        self.time.pass();
        self.clock.monotonic()
    }

    fn unix_time(&self) -> Duration {
        self.clock.unix_time()
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.clock.sleep(time)
    }

    fn jitter(&self) -> f64 {
        self.landings.add();
        self.clock.jitter()
    }
}

/// A scripted vendor.
#[derive(Clone, Default)]
struct Vendor {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    requests: Arc<Mutex<Vec<LoginRequest>>>,
    sent: Counter,
    held: Latch,
}

#[derive(Clone)]
enum Reply {
    Answer {
        status: u16,
        headers: HeaderMap,
        body: String,
    },
    Error(TransportError),
    Panic,
    /// Panics before a future is returned.
    PanicAtOnce,
    Hang,
}

fn answer(status: u16, body: &str) -> Reply {
    Reply::Answer { status, headers: HeaderMap::new(), body: body.to_owned() }
}

fn token(token: &str, seconds: u32) -> Reply {
    answer(200, &format!(r#"{{"access_token":"{token}","expires_in":{seconds}}}"#))
}

impl Reply {
    fn with(mut self, name: &'static str, value: &str) -> Reply {
        if let Reply::Answer { headers, .. } = &mut self {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        self
    }
}

impl Vendor {
    fn hold(&self) {
        self.held.hold();
    }

    fn release(&self) {
        self.held.release();
    }

    fn requests(&self) -> Vec<LoginRequest> {
        self.requests.lock().unwrap().clone()
    }
}

impl Transport for Vendor {
    fn send(
        &self,
        request: LoginRequest,
    ) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
        let reply = self.replies.lock().unwrap().pop_front();
        self.requests.lock().unwrap().push(request);
        let number = self.sent.add();
        let reply = reply.unwrap_or_else(|| token(&format!("token-{number}"), 3600));
        // A login runs on its own thread, so it may block.
        self.held.pass();
        assert!(!matches!(reply, Reply::PanicAtOnce), "canary: this panic belongs to a test");
        Box::pin(async move {
            match reply {
                Reply::Answer { status, headers, body } => Ok(LoginResponse {
                    status,
                    headers,
                    body: Secret::copy_of(body.as_bytes()).unwrap(),
                }),
                Reply::Error(error) => Err(error),
                Reply::Hang => std::future::pending().await,
                Reply::Panic | Reply::PanicAtOnce => panic!("canary: this panic belongs to a test"),
            }
        })
    }
}

/// A counter that only grows and that a test can wait for.
#[derive(Clone, Default)]
struct Counter(Arc<(Mutex<usize>, Condvar)>);

impl Counter {
    fn add(&self) -> usize {
        let mut count = self.0.0.lock().unwrap();
        *count += 1;
        self.0.1.notify_all();
        *count
    }

    fn get(&self) -> usize {
        *self.0.0.lock().unwrap()
    }

    fn wait_for(&self, count: usize) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |now| *now < count).unwrap());
    }
}

/// A gate that lets callers through unless it is held.
#[derive(Clone, Default)]
struct Latch(Arc<(Mutex<bool>, Condvar)>);

impl Latch {
    fn hold(&self) {
        *self.0.0.lock().unwrap() = true;
    }

    fn release(&self) {
        *self.0.0.lock().unwrap() = false;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |held| *held).unwrap());
    }
}

/// `future`, with a counter increment at its first poll.
async fn arriving<T>(arrivals: Counter, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let first = poll_once(future.as_mut());
    arrivals.add();
    match first {
        Poll::Ready(done) => done,
        Poll::Pending => future.await,
    }
}

/// Polls once without a waker; the caller polls again later.
fn poll_once<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

fn text(token: &Token) -> String {
    token.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn shown(error: &Error) -> String {
    format!("{error} {error:?} {error:#?} {:?}", error.help())
}

fn jwt(payload: &str) -> String {
    use base64::Engine as _;
    format!("eyJhbGciOiJub25lIn0.{}.c2ln", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(payload))
}

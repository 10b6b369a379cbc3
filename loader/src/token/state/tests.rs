//! Tests of the token state, with each row of the table of transitions in docs/token-source.md.
//!
//! The tests need no runtime, clock or thread.

use super::*;
use crate::login::outcome::Class;
use bootseal_core::Kind;

const DOC: &str = include_str!("../../../../docs/token-source.md");

/// The handle of a running login, on which callers wait. In these tests it is a number.
type Login = u32;

const LOGIN: Login = 1;
/// The token is refreshed at an age of 80 s, and no longer used at an age of 95 s.
const DEADLINES: Deadlines =
    Deadlines { refresh_at: Duration::from_secs(80), hard_at: Duration::from_secs(95) };
const FRESH: NewToken = NewToken { deadlines: DEADLINES, born_expired: false, status: 200 };
const BORN_EXPIRED: NewToken = NewToken { deadlines: DEADLINES, born_expired: true, status: 200 };

/// A state, and the time and the token's age at which an event occurs.
#[derive(Default)]
struct Scene {
    state: TokenState<Login>,
    now: u64,
    age: u64,
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn failure(class: Class) -> Failure {
    Failure { class, text: "failed".into(), status: None, retry_after: None }
}

impl Scene {
    fn now(&self) -> Duration {
        seconds(self.now)
    }

    fn moment(&self) -> Moment {
        Moment { monotonic: self.now(), unix_time: self.now() }
    }

    fn after(mut self, time: u64) -> Scene {
        self.now += time;
        self.age += time;
        self
    }

    fn with_login(mut self) -> Scene {
        self.state.login_started(LOGIN);
        self
    }

    /// The scene after the running login has obtained `token`, whose age is then 0.
    fn with_token(mut self, token: NewToken) -> Scene {
        self.state.login_succeeded(&LOGIN, &token, seconds(self.age), self.moment());
        self.age = 0;
        self
    }

    fn after_failure(mut self, class: Class) -> Scene {
        self.fail(class);
        self
    }

    fn changed<R>(mut self, change: impl FnOnce(&mut TokenState<Login>) -> R) -> Scene {
        let _ = change(&mut self.state);
        self
    }

    fn fail(&mut self, class: Class) -> BackoffReason {
        let explain = |_| Error::new(Kind::LoginDown, "failed");
        self.state.login_failed(Some(&LOGIN), &failure(class), explain, self.moment(), 1.0).0
    }

    /// The state in the words of the table.
    fn label(&self) -> String {
        let state = &self.state;
        let mut label = match state.current {
            None => "EMPTY",
            Some(current) if current.id <= state.revoked => "REVOKED",
            Some(current) if seconds(self.age) < current.deadlines.refresh_at => "FRESH",
            Some(current) if seconds(self.age) < current.deadlines.hard_at => "STALE",
            Some(_) => "EXPIRED",
        }
        .to_owned();
        if let Some(wait) = state.backoff.remaining(self.now()) {
            let reason = if state.backoff.is_refused() { "Refused" } else { "Backoff" };
            label.push_str(&format!(", {reason} {} s", wait.as_secs()));
        }
        if state.login.is_some() {
            label.push_str(", login running");
        }
        if state.guard.holds(self.now()) {
            label.push_str(", guard holds");
        }
        if state.profile_removed {
            label.push_str(", profile removed");
        }
        label
    }
}

/// A function that runs an event, and returns the decision in the words of the table.
type Event = fn(&mut Scene) -> String;

fn request(scene: &mut Scene) -> String {
    match scene.state.request(seconds(scene.age), scene.now()) {
        Decision::Fresh => "the token".into(),
        Decision::Stale { start_login: false } => "the token".into(),
        Decision::Stale { start_login: true } => {
            scene.state.login_started(LOGIN);
            "the token; a login starts in the background".into()
        }
        Decision::StartLogin => {
            scene.state.login_started(LOGIN);
            "a login starts; the caller waits for it".into()
        }
        Decision::Wait(LOGIN) => "the caller waits for the login".into(),
        Decision::Wait(other) => format!("waits for {other}"),
        Decision::Fail { error: Some(_), .. } => "the last error".into(),
        Decision::Fail { error: None, .. } => "an error: no login may be made yet".into(),
        Decision::ProfileRemoved => "`not-found`".into(),
    }
}

fn succeeds(token: NewToken, scene: &mut Scene) -> String {
    let age = seconds(scene.age);
    match scene.state.login_succeeded(&LOGIN, &token, age, scene.moment()) {
        Publish::New { recovered, .. } => {
            scene.age = 0;
            format!("published{}", if recovered { "; `recovered`" } else { "" })
        }
        Publish::KeepPresent { .. } => "the present token stays; the new one is logged out".into(),
        Publish::ProfileRemoved => "`not-found`; the new token is logged out".into(),
    }
}

fn fails(class: Class, scene: &mut Scene) -> String {
    match scene.fail(class) {
        BackoffReason::Failed => "all waiting callers get its error; `login failed`".into(),
        BackoffReason::Refused => "all waiting callers get its error; `refused`".into(),
    }
}

fn rejected(id: TokenId, worked: bool, young: bool, scene: &mut Scene) -> String {
    match scene.state.rejected(id, worked, young, scene.now()) {
        Rejection::AlreadyRevoked => "nothing: already reported".into(),
        Rejection::HeldBack => "the caller gets the response".into(),
        Rejection::Revoked { found_loop, start_login } => {
            if start_login {
                scene.state.login_started(LOGIN);
            }
            let start = if start_login { "; a login starts" } else { "" };
            format!(
                "that token is revoked{start}{}",
                if found_loop.is_some() { "; `fresh_token_rejected`" } else { "" }
            )
        }
    }
}

fn empty() -> Scene {
    Scene { now: 1000, ..Scene::default() }
}

fn fresh() -> Scene {
    empty().with_login().with_token(FRESH)
}

fn held() -> Scene {
    fresh().changed(|state| state.replay_rejected(seconds(1000)))
}

fn outdated(scene: &mut Scene) -> String {
    let before = scene.state.profile();
    scene.state.profile_changed(true);
    assert!(scene.state.is_outdated(before));
    "the login is repeated with the new profile; the token of the first one is logged out".into()
}

/// A row: the state before, the event in the words of the table, and the event itself.
type Row = (Scene, &'static str, Event);

fn requests() -> Vec<Row> {
    vec![
        (empty(), "request", request),
        (empty().with_login(), "request", request),
        (fresh(), "request", request),
        (fresh().after(80), "request", request),
        (fresh().after(80).with_login(), "request", request),
        (fresh().after(80).after_failure(Class::Tls), "request", request),
        (fresh().after(95), "request", request),
        (fresh().after(95).after_failure(Class::Tls), "request", request),
        (empty().after_failure(Class::Refused), "request", request),
        (empty().after_failure(Class::Tls).after(30), "request, after the backoff", request),
        (fresh().changed(TokenState::profile_removed), "request", request),
    ]
}

fn logins() -> Vec<Row> {
    vec![
        (empty().with_login(), "a login brings a token", |scene| succeeds(FRESH, scene)),
        (empty().after_failure(Class::Refused).with_login(), "a login brings a token", |scene| {
            succeeds(FRESH, scene)
        }),
        (
            fresh().after(95).with_login(),
            "a login brings a token that has already expired",
            |scene| succeeds(BORN_EXPIRED, scene),
        ),
        (
            fresh().after(80).with_login(),
            "a login brings a token that has already expired",
            |scene| succeeds(BORN_EXPIRED, scene),
        ),
        (
            empty().with_login().changed(TokenState::profile_removed),
            "a login brings a token",
            |scene| succeeds(FRESH, scene),
        ),
        (empty().with_login(), "the file changes during a login", outdated),
        (empty().with_login(), "a login fails: no trustworthy TLS", |scene| {
            fails(Class::Tls, scene)
        }),
        (empty().with_login(), "a login fails: 401, 403, 423", |scene| {
            fails(Class::Refused, scene)
        }),
        (empty().with_login(), "a login fails: 400, 422", |scene| {
            fails(Class::PerhapsRefused, scene)
        }),
        (
            empty().after_failure(Class::PerhapsRefused).after(30).with_login(),
            "a login fails: 400, 422 again",
            |scene| fails(Class::PerhapsRefused, scene),
        ),
        (fresh().after(80).with_login(), "a login fails: no trustworthy TLS", |scene| {
            fails(Class::Tls, scene)
        }),
    ]
}

fn rejections() -> Vec<Row> {
    vec![
        (fresh(), "rejected after it had worked", |scene| rejected(1, true, false, scene)),
        (fresh(), "rejected before it ever worked", |scene| rejected(1, false, true, scene)),
        (
            fresh()
                .changed(|state| state.rejected(1, false, true, seconds(1000)))
                .with_login()
                .with_token(FRESH),
            "rejected before it ever worked, the second token in a row",
            |scene| rejected(2, false, true, scene),
        ),
        (held(), "rejected before it ever worked", |scene| rejected(1, false, true, scene)),
        (held(), "rejected after it had worked", |scene| rejected(1, true, false, scene)),
        (fresh().with_login(), "rejected after it had worked", |scene| {
            rejected(1, true, false, scene)
        }),
        (fresh().after_failure(Class::Tls), "rejected after it had worked", |scene| {
            rejected(1, true, false, scene)
        }),
        (
            fresh().with_login().with_token(FRESH),
            "a call with the previous token is rejected",
            |scene| rejected(1, true, false, scene),
        ),
        (
            fresh().changed(|state| state.rejected(1, true, false, seconds(1000))),
            "the same token is rejected again",
            |scene| rejected(1, true, false, scene),
        ),
        (empty().with_login().with_token(BORN_EXPIRED), "rejected after it had worked", |scene| {
            rejected(1, true, false, scene)
        }),
        (fresh(), "a replayed call is rejected", |scene| {
            let begins = scene.state.replay_rejected(scene.now());
            if begins { "`fresh_token_rejected`".into() } else { "nothing".into() }
        }),
        (fresh(), "the response to a call brings a newer token", |scene| {
            match scene.state.renewed(1, DEADLINES) {
                Some(2) => "published".into(),
                other => format!("{other:?}"),
            }
        }),
        (
            fresh().changed(|state| state.rejected(1, true, false, seconds(1000))),
            "a late response brings a newer token",
            |scene| match scene.state.renewed(1, DEADLINES) {
                None => "nothing: its session was revoked".into(),
                Some(id) => format!("published {id}"),
            },
        ),
    ]
}

fn changes() -> Vec<Row> {
    vec![
        (fresh().after_failure(Class::Refused), "the file changes, same session", |scene| {
            scene.state.profile_changed(true);
            "the token stays".into()
        }),
        (fresh().after_failure(Class::Refused), "the file changes, another session", |scene| {
            scene.state.profile_changed(false);
            "the token is logged out".into()
        }),
        (fresh(), "the profile is removed", |scene| {
            scene.state.profile_removed();
            "the token is logged out".into()
        }),
        (empty().changed(TokenState::profile_removed), "the profile is added again", |scene| {
            scene.state.profile_changed(true);
            "nothing".into()
        }),
        (fresh(), "`log_out()`", |scene| {
            scene.state.withdraw();
            "the token is logged out".into()
        }),
        (held().after_failure(Class::Refused), "`reset_backoff()`", |scene| {
            scene.state.reset_backoff();
            "nothing".into()
        }),
    ]
}

#[test]
fn the_state_follows_the_table_of_transitions() {
    let written: Vec<&str> = DOC
        .lines()
        .skip_while(|line| !line.starts_with("| state | event |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    let happened: Vec<String> = [requests(), logins(), rejections(), changes()]
        .into_iter()
        .flatten()
        .map(|(mut scene, event, run)| {
            let before = scene.label();
            let decision = run(&mut scene);
            format!("| {before} | {event} | {decision} | {} |", scene.label())
        })
        .collect();
    for (row, (written, happened)) in written.iter().zip(&happened).enumerate() {
        assert_eq!(written, happened, "row {}", row + 1);
    }
    assert_eq!(written.len(), happened.len(), "{happened:#?}");
}

#[test]
fn a_late_failure_of_an_earlier_login_does_not_end_the_running_one() {
    let mut scene = empty().changed(|state| state.login_started(2));
    scene.fail(Class::Tls);
    assert_eq!(scene.state.login(), Some(2));
}

#[test]
fn an_accepted_call_with_a_revoked_token_does_not_change_the_guard() {
    let mut scene = fresh();
    scene.state.rejected(1, false, true, seconds(1000));
    scene.state.accepted(1, seconds(1001));
    let mut scene = scene.with_login().with_token(FRESH);
    let second = scene.state.rejected(2, false, true, seconds(1002));
    assert_eq!(second, Rejection::Revoked { found_loop: Some(LoopKind::Fresh), start_login: true });
}

#[test]
fn a_failure_is_the_last_error_until_a_login_succeeds() {
    let mut scene = empty().after_failure(Class::Tls);
    let Decision::Fail { error: Some(error), retry_after } =
        scene.state.request(Duration::ZERO, scene.now())
    else {
        panic!("no error")
    };
    assert_eq!((error.kind(), retry_after), (Kind::LoginDown, seconds(30)));
    assert!(
        scene.state.last_error().is_some() && scene.state.last_login().unwrap().result.is_err()
    );
    scene.now += 30;
    let scene = scene.with_login().with_token(FRESH);
    assert!(scene.state.last_error().is_none());
    assert_eq!(*scene.state.last_login().unwrap().result.as_ref().unwrap(), 200);
}

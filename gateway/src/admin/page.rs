//! The status page: the loaded file, and for each route the token's remaining lifetime, the last
//! login and the last hour. It is plain HTML; the script only refreshes it.

use crate::route::ActiveRoute;
use crate::server::table::Running;
use crate::stats::history::Minute;
use bootseal::Status;
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

pub(crate) const STYLE: &str = include_str!("page/status.css");
pub(crate) const SCRIPT: &str = include_str!("page/status.js");

pub(crate) fn render(running: &Running) -> String {
    let (loaded, disk) = (running.vault.generation(), running.disk());
    let routes = running.active_routes();
    let statuses: Vec<Status> = routes.iter().map(|route| route.source.status()).collect();
    let down = statuses
        .iter()
        .filter(|status| status.lifetime.is_none() && status.error.is_some())
        .count();
    let title = match down {
        0 => "bootseal-gateway".to_owned(),
        count => format!("{count} down: bootseal-gateway"),
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<link rel=\"stylesheet\" href=\"/status.css\">\n<script src=\"/status.js\" defer></script>\n</head>\n<body>\n<main>\n<h1>bootseal-gateway</h1>\n"
    );
    let on_disk = match disk.generation {
        Some(generation) => format!("generation {generation}"),
        None => "not readable, or its signature is invalid".into(),
    };
    let _ = writeln!(
        page,
        "<p>Loaded: generation {loaded}. On disk: {on_disk}.</p>\n<p><small>{}</small></p>",
        escape(&running.vault.vault_id().to_string())
    );
    if let Some(refused) = &disk.refused {
        let _ = writeln!(
            page,
            "<p class=\"warning\" role=\"alert\">The file on disk was not accepted: {}</p>",
            escape(refused)
        );
    }
    let (used, places) = running.places().in_use();
    if running.places().are_short() {
        let _ = writeln!(
            page,
            "<p class=\"warning\" role=\"alert\">No place for another connection: {used} of {places} are in use. Raise the limit on open files.</p>"
        );
    } else {
        let _ = writeln!(page, "<p>Connections of callers: {used} of {places}.</p>");
    }
    page.push_str("<section class=\"routes\">\n");
    for (active, status) in routes.iter().zip(&statuses) {
        route(&mut page, active, status);
    }
    page.push_str("</section>\n</main>\n<p><small id=\"note\">As of the time this page was loaded.</small></p>\n</body>\n</html>\n");
    page
}

fn route(page: &mut String, route: &ActiveRoute, status: &Status) {
    let class = match (&status.lifetime, &status.error) {
        (Some(_), None) => "good",
        (None, None) => "none",
        (Some(_), Some(_)) => "old",
        (None, Some(_)) => "bad",
    };
    let _ =
        writeln!(page, "<article class=\"{class}\" id=\"{0}\">\n<h2>{0}</h2>", escape(&route.name));
    let _ = writeln!(
        page,
        "<p>{}{} → {}</p>",
        escape(&route.config.listen.to_string()),
        escape(&route.config.prefix),
        escape(route.config.upstream.as_str())
    );
    lifetime(page, status);
    page.push_str("<dl>\n");
    let token = match (&status.lifetime, status.logging_in) {
        (Some((lifetime, left)), _) => format!("{} left of {}", span(*left), span(*lifetime)),
        (None, true) => "login in progress".into(),
        (None, false) if status.error.is_some() => "none".into(),
        (None, false) => "none yet: the first call fetches one".into(),
    };
    row(page, "Token", &token);
    let login = match &status.last_login {
        None => "none yet".into(),
        Some(last) => {
            let ago = SystemTime::now().duration_since(last.at).unwrap_or_default();
            match &last.result {
                Ok(status) => format!("{} ago: token received (status {status})", span(ago)),
                Err(error) => format!("{} ago: {error}", span(ago)),
            }
        }
    };
    row(page, "Last login", &login);
    if let Some(wait) = status.held_for {
        row(page, "Next login", &format!("in {} at the earliest", span(wait)));
    }
    let counts = status.counts;
    row(
        page,
        "Since start",
        &format!(
            "{}, {}, {} rejected",
            counted(counts.logins, "login"),
            counted(counts.refreshes, "refresh"),
            counted(counts.rejections, "token")
        ),
    );
    let hour = route.stats.history.hour(Instant::now());
    let (calls, errors) = hour.iter().fold((0u64, 0u64), |(calls, errors), minute| {
        (calls + u64::from(minute.calls), errors + u64::from(minute.errors))
    });
    row(page, "Last hour", &format!("{}, {}", counted(calls, "call"), counted(errors, "error")));
    page.push_str("</dl>\n");
    chart(page, &hour);
    page.push_str("</article>\n");
}

fn row(page: &mut String, name: &str, value: &str) {
    let _ = writeln!(page, "<dt>{name}</dt><dd>{}</dd>", escape(value));
}

/// A bar that shrinks with the token's remaining lifetime.
fn lifetime(page: &mut String, status: &Status) {
    let part = match status.lifetime {
        Some((lifetime, left)) if !lifetime.is_zero() => {
            left.as_secs_f64() / lifetime.as_secs_f64()
        }
        _ => 0.0,
    };
    let percent = (part.clamp(0.0, 1.0) * 1000.0).round() / 10.0;
    let _ = writeln!(
        page,
        "<svg class=\"life\" viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{percent} % of the token's lifetime left\"><rect class=\"track\" width=\"100\" height=\"1\"/><rect class=\"left\" width=\"{percent}\" height=\"1\"/></svg>"
    );
}

/// One column per minute, the oldest on the left. Errors are drawn over calls, in another colour.
fn chart(page: &mut String, hour: &[Minute]) {
    let most = hour.iter().map(|minute| minute.calls).max().unwrap_or(0).max(1);
    let _ = write!(
        page,
        "<svg class=\"hour\" viewBox=\"0 0 {} 100\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Calls in the last hour, at most {most} per minute\">",
        hour.len()
    );
    let height = |count: u32| (f64::from(count) / f64::from(most) * 100.0).ceil();
    for (at, minute) in hour.iter().enumerate().filter(|(_, minute)| minute.calls > 0) {
        for (class, count) in [("calls", minute.calls), ("errors", minute.errors)] {
            if count > 0 {
                let height = height(count);
                let _ = write!(
                    page,
                    "<rect class=\"{class}\" x=\"{at}.1\" y=\"{}\" width=\"0.8\" height=\"{height}\"/>",
                    100.0 - height
                );
            }
        }
    }
    page.push_str("</svg>\n");
}

fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds if seconds / 60 % 60 == 0 => format!("{} h", seconds / 3600),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

fn counted(count: u64, one: &str) -> String {
    let plural = match (count, one.strip_suffix('h')) {
        (1, _) => "",
        (_, Some(_)) => "es",
        (_, None) => "s",
    };
    format!("{count} {one}{plural}")
}

/// Escapes a text for HTML, also inside an attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

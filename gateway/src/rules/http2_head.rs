//! The rules for a head in HTTP/2: those of HTTP/1.1 that the HTTP library does not check itself.

use crate::framing::machine::Limits;
use crate::rules::problem::Problem;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, StatusCode, Uri};

/// Checks the head of a call that came over HTTP/2.
///
/// # Errors
/// 431 if the head is too large; 400 if two readers could understand it differently.
pub(crate) fn check(uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let limits = Limits::default();
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    if headers.len() > limits.headers {
        return Err(too_large("The head has too many lines."));
    }
    if target.len() > limits.request_line {
        return Err(too_large("The target is too long."));
    }
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Problem::head(
            StatusCode::BAD_REQUEST,
            "The target contains a character that is not visible ASCII.",
        ));
    }
    if headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
        return Err(Problem::head(
            StatusCode::BAD_REQUEST,
            "The head has more than one Content-Length.",
        ));
    }
    let mut hosts = headers.get_all(HOST).iter().map(|host| host.as_bytes());
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    let what = match (authority, hosts.next(), hosts.next()) {
        (_, _, Some(_)) => "The head has more than one Host.",
        (Some(authority), Some(host), None) if !authority.eq_ignore_ascii_case(host) => {
            "Host and :authority differ."
        }
        (None, None, None) => "The head has neither :authority nor Host.",
        _ => return Ok(()),
    };
    Err(Problem::head(StatusCode::BAD_REQUEST, what))
}

fn too_large(what: &str) -> Problem {
    Problem::head(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, what)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn status(uri: &str, names: &[(&'static str, &str)]) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in names {
            headers.append(*name, value.parse().unwrap());
        }
        check(&uri.parse().unwrap(), &headers).err().map(|problem| problem.status.as_u16())
    }

    #[test]
    fn heads_that_http_1_refuses_are_refused() {
        assert_eq!(status("http://a.example/x?y", &[("content-length", "4")]), None);
        assert_eq!(status("/x", &[("host", "a.example")]), None);
        assert_eq!(status("http://a.example/", &[("host", "A.example")]), None);
        assert_eq!(status("/x", &[]), Some(400));
        assert_eq!(status("http://a.example/", &[("host", "b.example")]), Some(400));
        assert_eq!(status("/", &[("host", "a"), ("host", "a")]), Some(400));
        let lengths = [("host", "a"), ("content-length", "4"), ("content-length", "4")];
        assert_eq!(status("/", &lengths), Some(400));
        assert_eq!(status("/\u{e9}", &[("host", "a")]), Some(400));
        let long = format!("/{}", "x".repeat(16 * 1024));
        assert_eq!(status(&long, &[("host", "a")]), Some(431));
        let lines = [("x", "y"); 101];
        assert_eq!(status("http://a/", &lines), Some(431));
        assert_eq!(status("http://a/", &lines[1..]), None);
    }
}

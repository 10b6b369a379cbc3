//! The interface between a server and its vendor, and the parts from which both vendors build their
//! responses.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use hmac::{Hmac, Mac};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::Duration;

pub(crate) type VendorResponse = Response<Full<Bytes>>;
/// The status of a refusal, and its error code in the body.
pub(crate) type Refusal = (StatusCode, &'static str);

/// The interface of a vendor to its server.
pub(crate) trait Responses: Send + Sync + 'static {
    /// Counts a request that has arrived completely. Returns the delay of its response.
    fn arrived(&self, head: &Parts, body_len: usize) -> Duration;
    fn response(&self, head: &Parts, body: Result<Vec<u8>, Refusal>) -> VendorResponse;
}

pub(crate) fn jwt(mac: &Hmac<Sha256>, payload: &Value) -> String {
    let [header, payload] = [&json!({ "alg": "HS256", "typ": "JWT" }), payload]
        .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{header}.{payload}");
    let tag =
        BASE64_URL_SAFE_NO_PAD.encode(mac.clone().chain_update(&signed).finalize().into_bytes());
    format!("{signed}.{tag}")
}

pub(crate) fn json_response(status: StatusCode, body: &Value) -> VendorResponse {
    let mut response = VendorResponse::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(crate) fn header_value(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text).map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, "header"))
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The credentials in `Authorization`, after the scheme.
pub(crate) fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let (named, rest) = text(headers, &AUTHORIZATION)?.split_once(' ')?;
    named.eq_ignore_ascii_case(scheme).then_some(rest.trim())
}

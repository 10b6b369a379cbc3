//! A draft of a response: values are put in the places that the profile names.

use crate::responses::{Refusal, VendorResponse, header_value, json_response};
use crate::shape::Filled;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bootseal_core::{Call, Capture, Part, ResponsePlace, Test, When};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, SET_COOKIE};
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use std::time::Duration;

/// A draft of a response.
pub(crate) struct Draft {
    pub(crate) json: Value,
    /// A body in place of the JSON, and its content type.
    pub(crate) whole: Option<(String, &'static str)>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Draft {
    pub(crate) fn new() -> Draft {
        Draft { json: json!({}), whole: None, headers: Vec::new() }
    }

    /// Puts a new value in the place of each capture, and returns the values by name.
    pub(crate) fn capture(&mut self, captures: &[Capture]) -> Result<Filled, Refusal> {
        let mut given = Filled::new();
        for capture in captures {
            let value = random()?;
            self.place(&capture.place, json!(value), None)?;
            given.insert(capture.name.clone(), value);
        }
        Ok(given)
    }

    pub(crate) fn place(
        &mut self,
        place: &ResponsePlace,
        value: Value,
        max_age: Option<u64>,
    ) -> Result<(), Refusal> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match place {
            ResponsePlace::Json(pointer) => put(&mut self.json, pointer, value),
            ResponsePlace::Header(name) => {
                let name = HeaderName::try_from(name.as_str());
                let name =
                    name.map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, "a header's name"))?;
                self.headers.push((name, header_value(&text)?));
            }
            ResponsePlace::Cookie(name) => {
                let age = max_age.map_or(String::new(), |age| format!("; Max-Age={age}"));
                self.headers.push((
                    SET_COOKIE,
                    header_value(&format!("{name}={text}; Path=/; HttpOnly{age}"))?,
                ));
            }
            ResponsePlace::BodyJsonString => {
                self.whole = Some((json!(text).to_string(), "application/json"))
            }
            _ => self.whole = Some((text, "text/plain")),
        }
        Ok(())
    }

    pub(crate) fn response(self, status: StatusCode) -> VendorResponse {
        let mut response = match self.whole {
            None => json_response(status, &self.json),
            Some((body, kind)) => {
                let mut response = VendorResponse::new(Full::from(Bytes::from(body)));
                *response.status_mut() = status;
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
                response
            }
        };
        if status.is_redirection() {
            response.headers_mut().insert(LOCATION, HeaderValue::from_static("/"));
        }
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

/// Writes `value` at the JSON pointer, and creates the objects on its path.
pub(crate) fn put(at: &mut Value, pointer: &str, value: Value) {
    let Some(rest) = pointer.strip_prefix('/') else {
        *at = value;
        return;
    };
    let (step, _) = rest.split_once('/').unwrap_or((rest, ""));
    let key = step.replace("~1", "/").replace("~0", "~");
    if !at.is_object() {
        *at = json!({});
    }
    if let Value::Object(object) = at {
        put(object.entry(key).or_insert(Value::Null), &rest[step.len()..], value);
    }
}

/// Makes a condition of the profile true.
pub(crate) fn say(json: &mut Value, when: &When) {
    let value = match &when.test {
        Test::Present => json!(true),
        Test::Equals(text) => match text.as_str() {
            "true" => json!(true),
            "false" => json!(false),
            text => text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number)),
        },
        Test::Contains(text) => json!(text),
    };
    put(json, &when.pointer, value);
}

pub(crate) fn random() -> Result<String, Refusal> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes)
        .map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, "no random numbers"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// The path of a call as the profile writes it.
pub(crate) fn written_path(call: &Call) -> String {
    let piece = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Name(name) => format!("${{{name}}}"),
    };
    let text: String = call.url.parts().iter().map(piece).collect();
    let path =
        text.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| rest[at..].to_owned()));
    path.unwrap_or_else(|| "/".into()).split('?').next().unwrap_or("/").to_owned()
}

pub(crate) fn words(lifetime: Duration) -> String {
    match (lifetime.as_secs(), lifetime.subsec_millis()) {
        (0, milliseconds) => format!("{milliseconds} ms"),
        (seconds, _) if seconds % 60 == 0 && seconds >= 120 => format!("{} min", seconds / 60),
        (seconds, _) => format!("{seconds} s"),
    }
}

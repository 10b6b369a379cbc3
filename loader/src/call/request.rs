//! The request builder, modelled on reqwest's: headers, query, body, and sending.

use crate::call::client::Client;
use crate::call::outgoing::Call;
use crate::error::{Error, Result};
use bootseal_core::Kind;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::{Request, Response};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// A builder of a call, like reqwest's.
///
/// For any option that this builder does not have, take the [`reqwest::Request`] from
/// [`RequestBuilder::build`], change it, and pass it to [`Client::execute`]. If a part is invalid,
/// sending the call returns the error.
///
/// ```
/// async fn order(client: &bootseal::Client) -> bootseal::Result<()> {
///     let call = client.post("https://api.acme.example/v1/orders").header("accept", "application/json");
///     let response = call.json(&["lamp", "oil"]).send().await?;
///     assert_eq!(response.status(), 201);
///     Ok(())
/// }
/// ```
#[derive(Debug)]
#[must_use = "a call does nothing until it is sent"]
pub struct RequestBuilder {
    client: Client,
    call: Result<Call>,
}

impl Client {
    /// A GET of `url`. An invalid URL is reported as an error when the call is sent.
    pub fn get(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// A POST to `url`. An invalid URL is reported as an error when the call is sent.
    pub fn post(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// A PUT to `url`. An invalid URL is reported as an error when the call is sent.
    pub fn put(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// A DELETE of `url`. An invalid URL is reported as an error when the call is sent.
    pub fn delete(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// A HEAD of `url`. An invalid URL is reported as an error when the call is sent.
    pub fn head(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::HEAD, url)
    }

    /// A call with any method. An invalid URL is reported as an error when the call is sent.
    pub fn request(&self, method: Method, url: impl AsRef<str>) -> RequestBuilder {
        let request = Url::parse(url.as_ref()).map(|url| Request::new(method, url));
        // The error leaves out the URL, because its query may contain a secret.
        let request = request.map_err(|error| {
            Error::new(Kind::Usage, format!("the call's URL is invalid: {error}"))
        });
        RequestBuilder { client: self.clone(), call: request.map(Call::of) }
    }
}

impl RequestBuilder {
    /// Adds a header. The header for the token is always replaced.
    pub fn header<K, V>(self, name: K, value: V) -> RequestBuilder
    where
        HeaderName: TryFrom<K>,
        <HeaderName as TryFrom<K>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.map(|call| {
            let (name, value) =
                (HeaderName::try_from(name).map_err(Into::into), HeaderValue::try_from(value));
            let (name, value) =
                (name.map_err(invalid_header)?, value.map_err(Into::into).map_err(invalid_header)?);
            call.request.headers_mut().append(name, value);
            Ok(())
        })
    }

    /// Adds headers, which replace earlier headers of the same names.
    pub fn headers(self, headers: HeaderMap) -> RequestBuilder {
        self.map(|call| {
            let mut last = None;
            for (name, value) in headers {
                // If a header has several values, the iterator returns its name only with the first
                // value.
                match (name, &last) {
                    (Some(name), _) => {
                        call.request.headers_mut().insert(&name, value);
                        last = Some(name);
                    }
                    (None, Some(name)) => {
                        call.request.headers_mut().append(name, value);
                    }
                    (None, None) => {}
                }
            }
            Ok(())
        })
    }

    /// Appends to the URL's query.
    pub fn query<T: Serialize + ?Sized>(self, query: &T) -> RequestBuilder {
        self.map(|call| {
            let query = serde_urlencoded::to_string(query)
                .map_err(|error| not_serializable("a query", &error))?;
            if !query.is_empty() {
                let before = call.request.url().query().filter(|before| !before.is_empty());
                let whole = before.map_or(query.clone(), |before| format!("{before}&{query}"));
                call.request.url_mut().set_query(Some(&whole));
            }
            Ok(())
        })
    }

    /// Sends `json` as the body, `application/json`.
    pub fn json<T: Serialize + ?Sized>(self, json: &T) -> RequestBuilder {
        self.map(|call| {
            let json =
                serde_json::to_vec(json).map_err(|error| not_serializable("JSON", &error))?;
            call.request
                .headers_mut()
                .entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/json"));
            call.set_body(json);
            Ok(())
        })
    }

    /// Sends `form` as the body, `application/x-www-form-urlencoded`.
    pub fn form<T: Serialize + ?Sized>(self, form: &T) -> RequestBuilder {
        self.map(|call| {
            let form = serde_urlencoded::to_string(form)
                .map_err(|error| not_serializable("a form", &error))?;
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            call.request.headers_mut().entry(CONTENT_TYPE).or_insert(kind);
            call.set_body(form);
            Ok(())
        })
    }

    /// Sends `body`. Bytes and text can be replayed. A stream cannot be replayed, so the first
    /// response is returned even if it rejects the token; see [`RequestBuilder::body_from`].
    pub fn body(self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.map(|call| {
            call.set_body(body);
            Ok(())
        })
    }

    /// Sends the body that `make` returns, such as a stream. `make` is called for each attempt,
    /// including a replay and a redirect that keeps the body.
    ///
    /// ```
    /// async fn upload(client: &bootseal::Client) -> bootseal::Result<()> {
    ///     let call = client.post("https://api.acme.example/v1/orders").body_from(|| "or a file, opened".into());
    ///     call.send().await.map(drop)
    /// }
    /// ```
    pub fn body_from(
        mut self,
        make: impl Fn() -> reqwest::Body + Send + Sync + 'static,
    ) -> RequestBuilder {
        if let Ok(call) = &mut self.call {
            call.make_body = Some(Arc::new(make));
        }
        self
    }

    /// Limits the time of each attempt, to the end of the response's body. There is no limit by
    /// default.
    pub fn timeout(self, timeout: Duration) -> RequestBuilder {
        self.map(|call| {
            *call.request.timeout_mut() = Some(timeout);
            Ok(())
        })
    }

    /// Sets the HTTP version.
    pub fn version(self, version: http::Version) -> RequestBuilder {
        self.map(|call| {
            *call.request.version_mut() = version;
            Ok(())
        })
    }

    fn map(mut self, change: impl FnOnce(&mut Call) -> Result<()>) -> RequestBuilder {
        if let Ok(call) = &mut self.call
            && let Err(error) = change(call)
        {
            self.call = Err(error);
        }
        self
    }

    /// The request built so far, without the token.
    ///
    /// # Errors
    /// [`Kind::Usage`] for an invalid URL, header, query or body.
    pub fn build(self) -> Result<Request> {
        self.call.map(Call::into_request)
    }

    /// Sends the call.
    ///
    /// # Errors
    /// - [`Kind::Usage`] when the URL is not on one of the profile's hosts or not over TLS; nothing
    ///   was sent.
    /// - The errors of [`TokenSource::token`](crate::TokenSource::token) when there is no token.
    /// - [`Kind::Io`] when the call itself got no response; see [`Error::is_connect`] and
    ///   [`Error::is_timeout`].
    ///
    /// A response of any status is a success.
    pub async fn send(self) -> Result<Response> {
        self.client.send(self.call?).await
    }
}

fn invalid_header(error: http::Error) -> Error {
    Error::new(Kind::Usage, format!("the call's header is invalid: {error}"))
}

fn not_serializable(format: &str, error: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::Usage, format!("the call's value cannot be written as {format}: {error}"))
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn build_returns_every_part_of_the_request_but_no_token() {
        let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
        let vault =
            crate::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)
                .unwrap();
        let client = vault.token_source("acme").unwrap().client();
        let url = "https://api.acme.example/v1/orders";
        let methods = [
            client.get(url),
            client.post(url),
            client.put(url),
            client.delete(url),
            client.head(url),
        ];
        let methods = methods.map(|call| call.build().unwrap().method().to_string());
        assert_eq!(methods, ["GET", "POST", "PUT", "DELETE", "HEAD"]);

        let request = client
            .request(Method::OPTIONS, url)
            .query(&[("page", 2)])
            .header("accept", "text/plain");
        let request = request
            .timeout(Duration::from_secs(5))
            .version(http::Version::HTTP_11)
            .build()
            .unwrap();
        assert_eq!((request.method(), request.url().query()), (&Method::OPTIONS, Some("page=2")));
        assert_eq!(
            (request.timeout(), request.version()),
            (Some(&Duration::from_secs(5)), http::Version::HTTP_11)
        );
        assert!(
            !request.headers().contains_key("authorization")
                && request.headers()["accept"] == "text/plain"
        );

        let mut headers = HeaderMap::new();
        headers.append("accept", HeaderValue::from_static("a"));
        headers.append("accept", HeaderValue::from_static("b"));
        let request = client.get(url).header("accept", "c").headers(headers).build().unwrap();
        assert_eq!(request.headers().get_all("accept").iter().collect::<Vec<_>>(), ["a", "b"]);

        let json = client.post(url).json(&["lamp", "oil"]).build().unwrap();
        assert_eq!(json.headers()["content-type"], "application/json");
        let form = client.post(url).form(&[("item", "a lamp")]).build().unwrap();
        assert_eq!(form.body().and_then(|body| body.as_bytes()), Some(&b"item=a+lamp"[..]));
        assert!(client.put(url).body("a lamp").build().unwrap().try_clone().is_some());
        for invalid in [client.get("not a URL?secret"), client.get(url).header("no name", "x")] {
            let error = invalid.build().unwrap_err();
            assert!(
                error.kind() == Kind::Usage && !error.to_string().contains("secret"),
                "{error}"
            );
        }
    }
}

//! An HTTP client that inserts secrets into requests below HTTP.
//!
//! A request has a placeholder in each header whose value is a secret: 47 characters that nobody
//! can guess. hyper writes the placeholder like any other text. The writer between HTTP and TLS
//! finds the placeholder and writes the secret instead, directly from its guarded page, so that no
//! buffer, pool, copy or trace of an HTTP library ever contains the secret.
//!
//! ```
//! use bootseal_wire::{Endpoint, Options, SecretClient};
//!
//! async fn orders(token: bootseal_memory::Secret) -> bootseal_wire::Result<bool> {
//!     let acme_only = |url: &url::Url| match url.host_str() {
//!         Some("api.acme.example") => Ok(()),
//!         _ => Err("the token may not go there".into()),
//!     };
//!     let client = SecretClient::new(&Endpoint::default(), &Options::default(), acme_only)?;
//!     let mut request = http::Request::new(reqwest::Body::default());
//!     *request.uri_mut() = http::Uri::from_static("https://api.acme.example/v1/orders");
//!     let response = client.send(&mut request, None, &[(http::header::AUTHORIZATION, token)]).await?;
//!     Ok(response.status().is_success())
//! }
//! ```
//!
//! # Flow
//! [`SecretClient`] registers the secrets and puts their placeholders into the request
//! (`placeholder`). The `pool` picks a connection, or `connect` makes one, with name lookup, TCP,
//! the proxy's tunnel and TLS (`tls`). The writer on top of TLS is `h1_writer` or `h2_writer`,
//! depending on the protocol that TLS negotiated. `connection` observes what arrives, and `resend`
//! decides whether a request that failed is sent again.
//!
//! # What this crate does not do
//! It knows no vault, profile or token, follows no redirects, and reads no environment variables. It
//! never retries a request that may have been processed, except an idempotent one, once, after a
//! kept connection was closed. Other HTTP clients are easier to use, but keep the
//! bytes that they send in ordinary memory.

#![forbid(unsafe_code)]

mod client;

mod pool;

mod resend;

mod body;

mod connect;

mod h1_writer;
mod h2_writer;

mod connection;

mod placeholder;

mod io;

mod tls;

mod endpoint;

mod upload_pace;

mod error;

pub use body::ArrivingBody;
pub use client::{Again, OnResend, Options, SecretClient, SecretHeader};
pub use connect::ConnectOptions;
pub use endpoint::Endpoint;
pub use error::{Boxed, Error, Result, chain, is_out_of_descriptors};
pub use pool::connections::close_idle_connections;
pub use resend::ResendReason;
pub use upload_pace::{PacedBody, UploadPace};

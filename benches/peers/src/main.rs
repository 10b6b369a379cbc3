//! Benchmark of reading a cached token: `scripts/bench-peers`.
//!
//! It measures our token source, the caches of google-cloud-auth, aws-smithy-runtime and
//! azure_identity, and a plain `RwLock`, in turn. Only the ratios are meaningful.
//!
//! Each peer is called through its public API and drops the returned token. A local provider
//! responds once with the token.

use async_trait::async_trait;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityFuture, ResolveCachedIdentity, ResolveIdentity, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::config_bag::ConfigBag;
use azure_core::credentials::TokenCredential;
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, ClientOptions, HttpClient, Request, StatusCode, Transport};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use google_cloud_auth::credentials::mds;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

const ROUNDS: usize = 25;
const PER_ROUND: u32 = 100_000;
const TOKEN: &str = "a token of forty bytes, as vendors issue it";

type Anything = Box<dyn std::error::Error + Send + Sync>;

/// A cache that contains a token.
trait Cache: Sync {
    fn name(&self) -> &'static str;
    async fn get(&self);
}

struct Ours(bootseal::TokenSource);

impl Cache for Ours {
    fn name(&self) -> &'static str {
        "bootseal, token()"
    }

    async fn get(&self) {
        drop(black_box(self.0.token().await));
    }
}

struct Plain(tokio::sync::RwLock<Arc<str>>);

impl Cache for Plain {
    fn name(&self) -> &'static str {
        "tokio RwLock<Arc<str>>"
    }

    async fn get(&self) {
        drop(black_box(self.0.read().await.clone()));
    }
}

struct Google(google_cloud_auth::credentials::AccessTokenCredentials);

impl Cache for Google {
    fn name(&self) -> &'static str {
        "google-cloud-auth, access_token()"
    }

    async fn get(&self) {
        drop(black_box(self.0.access_token().await));
    }
}

/// Starts a metadata server that returns the same token to every caller.
async fn metadata_server() -> Result<String, Anything> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let body = format!(r#"{{"access_token":"{TOKEN}","expires_in":3600,"token_type":"Bearer"}}"#);
            let _ = stream.read(&mut [0; 4096]).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmetadata-flavor: Google\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    Ok(format!("http://{address}"))
}

#[derive(Debug)]
struct OneHour;

impl ResolveIdentity for OneHour {
    fn resolve_identity<'a>(&'a self, _: &'a RuntimeComponents, _: &'a ConfigBag) -> IdentityFuture<'a> {
        let end = SystemTime::now() + Duration::from_secs(3600);
        IdentityFuture::ready(Ok(Identity::new(TOKEN.to_owned(), Some(end))))
    }
}

struct Smithy {
    cache: aws_smithy_runtime_api::client::identity::SharedIdentityCache,
    resolver: SharedIdentityResolver,
    components: RuntimeComponents,
    settings: ConfigBag,
}

impl Cache for Smithy {
    fn name(&self) -> &'static str {
        "aws-smithy-runtime, identity cache"
    }

    async fn get(&self) {
        let identity = self.cache.resolve_cached_identity(self.resolver.clone(), &self.components, &self.settings);
        drop(black_box(identity.await));
    }
}

#[derive(Debug)]
struct Entra;

#[async_trait]
impl HttpClient for Entra {
    async fn execute_request(&self, _: &Request) -> azure_core::Result<AsyncRawResponse> {
        let body =
            format!(r#"{{"token_type":"Bearer","expires_in":3600,"ext_expires_in":3600,"access_token":"{TOKEN}"}}"#);
        Ok(AsyncRawResponse::from_bytes(StatusCode::Ok, Headers::new(), body))
    }
}

struct Azure(Arc<ClientSecretCredential>);

impl Cache for Azure {
    fn name(&self) -> &'static str {
        "azure_identity, get_token()"
    }

    async fn get(&self) {
        drop(black_box(self.0.get_token(&["https://acme.example/.default"], None).await));
    }
}

/// The time of one `get` while `threads` threads call it concurrently.
fn round(runtime: &Runtime, cache: &impl Cache, threads: usize) -> Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                runtime.block_on(async {
                    for _ in 0..PER_ROUND {
                        cache.get().await;
                    }
                });
            });
        }
    });
    start.elapsed() / PER_ROUND
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn main() -> Result<(), Anything> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    let ours = Ours(vault.token_source("acme")?);
    let plain = Plain(tokio::sync::RwLock::new(TOKEN.into()));
    let google = runtime.block_on(async {
        let endpoint = metadata_server().await?;
        let credentials = mds::Builder::default().with_endpoint(endpoint).build_access_token_credentials()?;
        Ok::<_, Anything>(Google(credentials))
    })?;
    let smithy = Smithy {
        cache: IdentityCache::lazy().build(),
        resolver: SharedIdentityResolver::new(OneHour),
        components: RuntimeComponentsBuilder::for_tests()
            .with_time_source(Some(SystemTimeSource::new()))
            .with_sleep_impl(Some(TokioSleep::new()))
            .build()?,
        settings: ConfigBag::base(),
    };
    let client_options = ClientOptions { transport: Some(Transport::new(Arc::new(Entra))), ..Default::default() };
    let options = ClientSecretCredentialOptions { client_options };
    let azure =
        Azure(ClientSecretCredential::new("tenant", "client".into(), "secret".to_owned().into(), Some(options))?);
    // Each cache must return a token: one that only fails would look fast.
    runtime.block_on(async {
        ours.0.token().await?;
        google.0.access_token().await?;
        smithy.cache.resolve_cached_identity(smithy.resolver.clone(), &smithy.components, &smithy.settings).await?;
        azure.0.get_token(&["https://acme.example/.default"], None).await?;
        Ok::<_, Anything>(())
    })?;
    for threads in [1, 2] {
        let mut times: [Vec<Duration>; 5] = Default::default();
        for _ in 0..ROUNDS {
            times[0].push(round(&runtime, &ours, threads));
            times[1].push(round(&runtime, &plain, threads));
            times[2].push(round(&runtime, &google, threads));
            times[3].push(round(&runtime, &smithy, threads));
            times[4].push(round(&runtime, &azure, threads));
        }
        let names = [ours.name(), plain.name(), google.name(), smithy.name(), azure.name()];
        let times = times.map(median);
        println!("{threads} thread{}:", if threads == 1 { "" } else { "s at once, time of one call on each thread" });
        for (name, time) in names.iter().zip(times) {
            let ratio = times[0].as_secs_f64() / time.as_secs_f64();
            println!("  {name:36} {:>9.1} ns   ours takes {ratio:.2} of that time", time.as_secs_f64() * 1e9);
        }
    }
    Ok(())
}

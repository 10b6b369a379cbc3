//! The options of the client builder: limits, proxies, root certificates.

use super::*;

#[tokio::test]
async fn the_options_of_the_builder_apply_to_the_client() {
    let raw = Raw::vendor(|_| reply(200, &[], ""));
    let source = raw.source("");
    source
        .client_builder()
        .user_agent("orders/1.4")
        .build()
        .get(raw.url("/"))
        .send()
        .await
        .unwrap();
    assert_eq!(raw.calls()[0].all("user-agent"), ["orders/1.4"]);
    // Through a proxy's tunnel; the proxy's credentials do not reach the vendor. This proxy
    // refuses.
    let proxy = Raw::start(|_| reply(403, &[], ""));
    let password = bootseal::Secret::copy_of(b"hunter2").unwrap();
    let through =
        source.client_builder().proxy(proxy.url("")).proxy_login("app", &password).build();
    assert!(through.get(raw.url("/orders")).send().await.unwrap_err().is_connect());
    let heard = proxy.heard.lock().unwrap()[0].clone();
    assert_eq!(
        (heard.method.as_str(), heard.target.clone()),
        ("CONNECT", format!("127.0.0.1:{}", raw.port))
    );
    assert_eq!(
        heard.headers,
        [
            ("host".to_owned(), format!("127.0.0.1:{}", raw.port)),
            ("proxy-authorization".to_owned(), "Basic YXBwOmh1bnRlcjI=".to_owned()),
        ]
    );
    assert_eq!(raw.calls().len(), 1, "the second went to the proxy");
    let wrong = source.client_builder().proxy("http://app:hunter2@proxy.example").build();
    let error = wrong.get(raw.url("/orders")).send().await.unwrap_err();
    assert!(error.kind() == Kind::Usage && !error.to_string().contains("hunter2"), "{error}");
    // The name is resolved as the builder says.
    let address = ([127, 0, 0, 1], raw.port).into();
    let named = source.client_builder().resolve("api.acme.example", address).http1_only().build();
    let error = named.get("http://api.acme.example/").send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "that host is still not in the profile");
}

/// A proxy that makes tunnels and records the bytes in both directions and the heads of the
/// requests.
#[derive(Clone, Default)]
struct Tunnels {
    heads: Arc<Mutex<Vec<String>>>,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Tunnels {
    fn start(&self) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tunnels = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, tunnels) = (stream.unwrap(), tunnels.clone());
                std::thread::spawn(move || tunnels.serve(stream));
            }
        });
        url
    }

    fn serve(&self, mut here: TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            here.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut there = TcpStream::connect(head.split(' ').nth(1).unwrap())?;
        self.heads.lock().unwrap().push(head);
        here.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        let (back_from, back_to) = (there.try_clone()?, here.try_clone()?);
        let back = self.clone();
        std::thread::spawn(move || back.pass(back_from, back_to));
        there.flush()?;
        self.pass(here, there)
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
        let mut bytes = [0; 4096];
        loop {
            let got = from.read(&mut bytes)?;
            if got == 0 {
                return to.shutdown(Shutdown::Write);
            }
            self.bytes.lock().unwrap().extend_from_slice(&bytes[..got]);
            to.write_all(&bytes[..got])?;
        }
    }
}

#[tokio::test]
async fn a_proxy_tunnel_sees_the_proxy_password_and_no_token() {
    let tunnels = Tunnels::default();
    let acme = acme("");
    let password = bootseal::Secret::copy_of(b"hunter2").unwrap();
    for http1_only in [false, true] {
        let builder =
            acme.source.client_builder().proxy(tunnels.start()).proxy_login("app", &password);
        let client = if http1_only { builder.http1_only() } else { builder }.build();
        let answer = client.post(acme.vendor.url("/orders")).body("a lamp").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 201);
        // The first response has been read before the next call, so both use one connection.
        assert_eq!(client.get(acme.vendor.url("/orders")).send().await.unwrap().status(), 200);
    }
    let heads = tunnels.heads.lock().unwrap().clone();
    assert_eq!(heads.len(), 2, "{heads:?}");
    for head in heads {
        assert!(
            head.starts_with("CONNECT 127.0.0.1:") && head.contains("Basic YXBwOmh1bnRlcjI=\r\n"),
            "{head}"
        );
    }
    let token = acme.source.token().await.unwrap().expose(<[u8]>::to_vec);
    let bytes = tunnels.bytes.lock().unwrap();
    assert!(bytes.len() > 1_000 && !bytes.windows(token.len()).any(|window| window == token));
}

#[tokio::test]
async fn the_root_certificates_of_a_builder_replace_those_of_the_profile() {
    let (acme, other) = (acme(""), Vendor::start().unwrap());
    let url = acme.vendor.url("/orders");
    let right = acme.source.client_builder().roots(acme.vendor.ca_pem()).build();
    assert_eq!(right.get(&url).send().await.unwrap().status(), 200);
    for pem in [other.ca_pem(), "no PEM"] {
        let wrong = acme.source.client_builder().roots(pem).build();
        assert!(wrong.get(&url).send().await.is_err(), "{pem}");
    }
    assert_eq!(acme.vendor.calls(), 1);
}

//! Upstreams that send broken HTTP/1.1 and HTTP/2, made from a seed: the gateway does not panic, hang
//! or grow, every call gets an answer, and none gets the answer of another.

use crate::http2_upstreams::{Shop, tls};
use crate::support::{Client, ca, frame};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

const CALLERS: usize = 8;

/// The number of rounds of each protocol; `just fuzz-upstream` sets more.
fn rounds() -> usize {
    std::env::var("BOOTSEAL_TEST_FUZZ_ROUNDS").map_or(1200, |rounds| rounds.parse().unwrap())
}

fn seed() -> u64 {
    std::env::var("BOOTSEAL_TEST_FUZZ_SEED").map_or(20_261_130, |seed| seed.parse().unwrap())
}

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most.max(1) as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Changes, adds, doubles or removes bytes, or leaves all as it is.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len());
            match self.below(6) {
                0 if !bytes.is_empty() => bytes[at] = self.next() as u8,
                1 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                2 => bytes.insert(at, *self.pick(b"\r\n\0 :;,0123456789\x7f\xff")),
                3 => bytes.truncate(at),
                4 => {
                    let part = bytes[at..].to_vec();
                    bytes.extend(&part[..part.len().min(200)]);
                }
                _ => drop(bytes.drain(at..bytes.len().min(at + 9))),
            }
        }
    }
}

const RESPONSES: [&str; 12] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\nffff\r\nbody\r\n0\r\nX-T: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\nto the end",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nframes",
    "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nx",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\nSet-Cookie: a=b; Domain=x\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
];

/// A response, as the bytes that are sent at once; the connection ends after the last.
fn http1_response(random: &mut Random) -> Vec<Vec<u8>> {
    let mut bytes = random.pick(&RESPONSES).as_bytes().to_vec();
    if random.below(20) == 0 {
        let line = format!("\r\nX-{}: {}", random.below(9), "v".repeat(random.below(70_000)));
        bytes.splice(15.min(bytes.len())..15.min(bytes.len()), line.into_bytes());
    }
    random.mutate(&mut bytes);
    let cut = random.below(bytes.len());
    match random.below(2) {
        0 => vec![bytes],
        _ => vec![bytes[..cut].to_vec(), bytes[cut..].to_vec()],
    }
}

/// `:status` 200, from the static table of HPACK.
const STATUS_200: u8 = 0x88;

fn http2_frames(random: &mut Random, stream: u32) -> Vec<Vec<u8>> {
    let mut frames = vec![
        frame(4, 0, 0, &[0, 3, 0, 0, 0, 100]),
        frame(4, 1, 0, &[]),
        frame(1, 4, stream, &[STATUS_200]),
        frame(0, 1, stream, b"body"),
    ];
    for _ in 0..random.below(4) {
        let other = *random.pick(&[0, 1, 2, stream, stream + 2, 99, u32::MAX]);
        let length = random.below(40);
        let bytes: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        let odd = match random.below(14) {
            0 => frame(3, 0, stream, &[0, 0, 0, *random.pick(&[0, 1, 2, 7, 8, 11, 13])]),
            1 => frame(7, 0, 0, &[0, 0, 0, *random.pick(&[0, 1, 255]), 0, 0, 0, 0]),
            2 => frame(8, 0, other, &[0x7F, 0xFF, 0xFF, 0xFF]),
            3 => frame(8, 0, other, &[0; 4]),
            4 => frame(6, *random.pick(&[0, 1]), 0, b"bootseal"),
            5 => frame(4, 0, 0, &[0, 4, 0xFF, 0xFF, 0xFF, 0xFF]),
            6 => frame(4, 0, 0, &[0, 3, 0, 0, 0, 0]),
            7 => frame(4, 0, 0, &[0, *random.pick(&[1, 2, 5, 6, 9]), 0, 0, 0, 0]),
            8 => frame(5, 4, stream, &[0, 0, 0, 2, STATUS_200]),
            9 => frame(9, *random.pick(&[0, 4]), stream, &[STATUS_200]),
            10 => frame(0, 8, stream, &[*random.pick(&[0, 3, 200]), 1, 2, 3, 4]),
            11 => frame(1, *random.pick(&[0, 1, 4, 5]), other, &bytes),
            12 => frame(0, 0, stream, &vec![0; random.below(16_000)]),
            _ => frame(random.next() as u8, random.next() as u8, other, &bytes),
        };
        frames.insert(random.below(frames.len() + 1), odd);
    }
    if random.below(3) == 0 {
        let at = random.below(frames.len());
        random.mutate(&mut frames[at]);
    }
    if random.below(4) == 0 {
        frames.truncate(random.below(frames.len()));
    }
    frames
}

/// Reads to the end of a head, and returns its path.
async fn http1_path(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&head).split(' ').nth(1)?.to_owned())
}

/// Reads frames to the head of a call, and returns its stream.
async fn http2_stream(stream: &mut (impl AsyncRead + Unpin)) -> Option<u32> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).await.ok()?;
        if head[3] == 1 {
            return Some(u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
        }
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    http2: bool,
    number: Arc<AtomicUsize>,
) -> Option<()> {
    let round = number.fetch_add(1, Ordering::SeqCst) as u64;
    let mut random = Random(seed().wrapping_add(round << 20));
    let parts = if http2 {
        stream.read_exact(&mut [0; 24]).await.ok()?;
        let call = http2_stream(&mut stream).await?;
        http2_frames(&mut random, call)
    } else {
        // A sound call gets its own path back.
        loop {
            let path = http1_path(&mut stream).await?;
            if path.starts_with("/fuzz") {
                break;
            }
            let length = path.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{path}");
            stream.write_all(answer.as_bytes()).await.ok()?;
        }
        http1_response(&mut random)
    };
    for part in parts {
        stream.write_all(&part).await.ok()?;
        stream.flush().await.ok()?;
        tokio::task::yield_now().await;
    }
    stream.shutdown().await.ok()
}

/// Serves HTTP/1.1 in the clear, or HTTP/2 over TLS. Returns its origin and its certificate.
fn upstream(runtime: &tokio::runtime::Runtime, http2: bool) -> (String, String) {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let scheme = if http2 { "https" } else { "http" };
    let origin = format!("{scheme}://{}", listener.local_addr().unwrap());
    let (certificate, acceptor) = tls(&[b"h2"]);
    runtime.spawn(async move {
        let number = Arc::new(AtomicUsize::new(0));
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, number) = (acceptor.clone(), number.clone());
            tokio::spawn(async move {
                match http2 {
                    true => serve(acceptor.accept(stream).await.ok()?, true, number).await,
                    false => serve(stream, false, number).await,
                }
            });
        }
    });
    (origin, certificate)
}

/// Makes the calls of one caller.
fn calls(port: u16, caller: usize, rounds: usize, sound: bool) {
    for at in 0..rounds {
        let mut client = Client::connect(port);
        let method = *Random((caller * rounds + at) as u64).pick(&["GET", "HEAD", "DELETE"]);
        client.send(format!(
            "{method} /fuzz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        ));
        let mut all = Vec::new();
        // A response that breaks off at once may leave only the end of the connection.
        let ended = std::io::Read::read_to_end(&mut client.0, &mut all);
        let reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
        assert!(ended.as_ref().is_ok() || ended.as_ref().is_err_and(reset), "{ended:?}");
        assert!(
            all.is_empty() || all.starts_with(b"HTTP/1.1 "),
            "{:?}",
            String::from_utf8_lossy(&all)
        );
        if sound {
            let path = format!("/sound/{caller}/{at}");
            let answer = crate::support::call(port, &crate::support::get(&path));
            assert_eq!((answer.status, answer.text()), (200, path));
        }
    }
}

fn fuzz(http2: bool) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (origin, certificate) = upstream(&runtime, http2);
    let login = if http2 { ca(&certificate) } else { String::new() };
    let shop = Shop::open(&origin, &login, "answer_timeout = \"5s\"");
    let mut sizes = Vec::new();
    for _ in 0..2 {
        let port = shop.port;
        let callers = (0..CALLERS).map(|caller| {
            std::thread::spawn(move || calls(port, caller, rounds() / CALLERS / 2, !http2))
        });
        let callers: Vec<_> = callers.collect();
        for caller in callers {
            caller.join().unwrap_or_else(|_| panic!("seed {}: {}", seed(), shop.log().join("\n")));
        }
        sizes.push((shop.memory(), shop.descriptors()));
    }
    let log = shop.log();
    let panicked: Vec<_> = log.iter().filter(|line| line.contains("panicked")).collect();
    assert!(panicked.is_empty(), "seed {}: {panicked:?}", seed());
    let (memory, descriptors) = sizes[0];
    assert!(sizes[1].0 < memory + (16 << 10), "seed {}: {sizes:?} KiB", seed());
    assert!(sizes[1].1 < descriptors + 32, "seed {}: {sizes:?}", seed());
}

#[test]
fn broken_http_1_harms_no_other_call() {
    fuzz(false);
}

#[test]
fn broken_http_2_harms_no_other_call() {
    fuzz(true);
}

//! Tests of the HTTP/1.1 writer: every split of the stream into writes, above and below the writer.

#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use crate::placeholder::StandIn;
use bootseal_memory::Secret;
use proptest::prelude::*;

/// Accepts as many bytes per write as the next number in `takes`; 0 means not ready.
struct Short {
    takes: Vec<usize>,
    at: usize,
    got: Vec<u8>,
}

impl AsyncWrite for Short {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        given: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let takes = self.takes[self.at % self.takes.len()];
        self.at += 1;
        if takes == 0 {
            return Poll::Pending;
        }
        let given: Vec<u8> = given.iter().flat_map(|slice| slice.to_vec()).take(takes).collect();
        self.got.extend_from_slice(&given);
        Poll::Ready(Ok(given.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Writes `stream` in slices of the lengths `cuts`, with `together` slices per write, to a stream
/// that accepts `takes` bytes at a time, and returns the bytes that arrive.
fn arrives(
    placeholders: &Arc<Placeholders>,
    stream: &[u8],
    cuts: &[usize],
    together: usize,
    takes: &[usize],
) -> Vec<u8> {
    let mut writer = H1SecretWriter::new(
        Short { takes: takes.to_vec(), at: 0, got: Vec::new() },
        placeholders.clone(),
    );
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let (mut at, mut cut) = (0, 0);
    while at < stream.len() {
        let mut slices = Vec::new();
        let mut from = at;
        for step in cuts[cut..].iter().chain([&stream.len()]).take(together.max(1)) {
            let to = stream.len().min(from + step.max(&1));
            slices.push(IoSlice::new(&stream[from..to]));
            from = to;
        }
        let mut tries = 0;
        at += loop {
            match Pin::new(&mut writer).poll_write_vectored(&mut cx, &slices) {
                Poll::Ready(taken) => break taken.unwrap(),
                Poll::Pending => tries += 1,
            }
            assert!(tries < 10_000);
        };
        cut = (cut + 1).min(cuts.len());
    }
    while Pin::new(&mut writer).poll_flush(&mut cx).is_pending() {}
    writer.below.got
}

fn one() -> Arc<Placeholders> {
    Arc::new(Placeholders::new().unwrap())
}

fn secret(text: &[u8]) -> Secret {
    Secret::copy_of(text).unwrap()
}

fn request(value: &[u8], body: &[u8]) -> Vec<u8> {
    let length = body.len();
    [
        b"POST / HTTP/1.1\r\nauthorization: ",
        value,
        format!("\r\ncontent-length: {length}\r\n\r\n").as_bytes(),
        body,
    ]
    .concat()
}

#[test]
fn every_split_of_two_requests_arrives_and_placeholders_in_bodies_stay() {
    for token in [&b"x"[..], b"Bearer !!", &[b'J'; 200]] {
        let placeholders = one();
        let written = || {
            let stands: Vec<StandIn> =
                (0..2).map(|_| placeholders.stand_in(&secret(token))).collect();
            let (first, second) = (stands[0].text(), stands[1].text());
            // The same bytes in a body are ordinary text.
            let stream = [request(&first, &first), request(&second, b"!")].concat();
            let expected = [request(token, &first), request(token, b"!")].concat();
            (stands, stream, expected)
        };
        let length = written().1.len();
        for size in 1..=length {
            let (_stands, stream, expected) = written();
            assert!(
                arrives(&placeholders, &stream, &[], 1, &[size]) == expected,
                "below, {size} at a time"
            );
            let (_stands, stream, expected) = written();
            let cuts = vec![size; length / size];
            assert!(
                arrives(&placeholders, &stream, &cuts, 1, &[usize::MAX]) == expected,
                "above, {size} each"
            );
            let (_stands, stream, expected) = written();
            assert!(
                arrives(&placeholders, &stream, &cuts, 3, &[size, 0]) == expected,
                "three of {size}"
            );
            let (_stands, stream, expected) = written();
            assert!(
                arrives(&placeholders, &stream, &[size], 2, &[usize::MAX]) == expected,
                "cut at {size}"
            );
        }
    }
}

proptest! {
    #[test]
    fn any_stream_in_any_pieces_arrives_with_its_secrets(
        parts in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| (0, bytes)),
                Just((1, Vec::new())), // a placeholder
                (1..LENGTH).prop_map(|len| (2, vec![0; len])), // the beginning of a placeholder
                Just((3, b"!!".to_vec())),
            ],
            0..12,
        ),
        cuts in prop::collection::vec(1..60usize, 0..30),
        takes in prop::collection::vec(0..50usize, 1..8),
        together in 1..4usize,
    ) {
        prop_assume!(takes.iter().any(|takes| *takes > 0));
        let placeholders = one();
        let (mut stands, mut stream, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (kind, bytes) in parts {
            match kind {
                1 => {
                    let token = format!("token {}!", stands.len());
                    let stand = placeholders.stand_in(&secret(token.as_bytes()));
                    stream.extend_from_slice(&stand.text());
                    expected.extend_from_slice(token.as_bytes());
                    stands.push(stand);
                }
                2 => {
                    // The beginning of an unregistered placeholder, so that no later part can
                    // complete it.
                    let text = [&placeholders.prefix[..], &[b's'; LENGTH - PREFIX]].concat();
                    stream.extend_from_slice(&text[..bytes.len()]);
                    expected.extend_from_slice(&text[..bytes.len()]);
                }
                _ => {
                    stream.extend_from_slice(&bytes);
                    expected.extend_from_slice(&bytes);
                }
            }
        }
        prop_assert_eq!(arrives(&placeholders, &stream, &cuts, together, &takes), expected);
    }
}

#[test]
fn a_dropped_placeholder_is_ordinary_text() {
    let placeholders = one();
    let gone = placeholders.stand_in(&secret(b"token")).text();
    let _other = placeholders.stand_in(&secret(b"other"));
    let stream = request(&gone, b"");
    assert_eq!(arrives(&placeholders, &stream, &[], 1, &[usize::MAX]), stream);
}

//! Asks a broker, in Kafka's own protocol, whether it serves and whom it sees: two requests by hand, so that
//! readiness needs neither a Kafka client nor a JVM. Never more than that.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const API_VERSIONS: i16 = 18;
const METADATA: i16 = 3;
/// The oldest form without flexible fields that every release since 1.0 speaks.
const METADATA_VERSION: i16 = 4;
const PATIENCE: Duration = Duration::from_secs(2);
/// An answer is a list of brokers or of request kinds: far below this, whatever claims more is no Kafka.
const LONGEST_ANSWER_BYTES: usize = 1 << 20;

/// The brokers that take part, by node number, as one of them sees it.
// The controller that the same answer names is no news: under KRaft it is any live broker.
pub(crate) type Seen = Vec<i32>;

/// Whom the broker on `port` sees; an error when it does not answer as Kafka within two seconds a step.
pub(crate) fn ask(port: u16) -> io::Result<Seen> {
    converse(port).map_err(|error| match error.kind() {
        // What a read timeout is called on Unix; its own words are "resource temporarily unavailable".
        io::ErrorKind::WouldBlock => io::Error::new(io::ErrorKind::TimedOut, "silent for 2 s"),
        _ => error,
    })
}

fn converse(port: u16) -> io::Result<Seen> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;

    let versions = call(&mut stream, API_VERSIONS, 0, &[])?;
    if !speaks(&mut Answer(&versions), METADATA, METADATA_VERSION)? {
        return Err(bad(&format!("the broker does not speak metadata version {METADATA_VERSION}")));
    }
    // No topics wanted (an empty array, not a missing one), and none to be created.
    let metadata = call(&mut stream, METADATA, METADATA_VERSION, &[0, 0, 0, 0, 0])?;
    read_seen(&mut Answer(&metadata))
}

fn call(stream: &mut TcpStream, api: i16, version: i16, body: &[u8]) -> io::Result<Vec<u8>> {
    const CLIENT: &[u8] = b"xtask";
    let mut request = Vec::new();
    request.extend(api.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(i32::from(api).to_be_bytes()); // the correlation id
    request.extend([0, CLIENT.len() as u8]);
    request.extend(CLIENT);
    request.extend(body);
    let mut framed = (request.len() as u32).to_be_bytes().to_vec();
    framed.append(&mut request);
    stream.write_all(&framed)?;

    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if !(4..=LONGEST_ANSWER_BYTES).contains(&length) {
        return Err(bad(&format!("an answer of {length} bytes is not Kafka's")));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    if Answer(&answer).int32()? != i32::from(api) {
        return Err(bad("the answer belongs to another request"));
    }
    Ok(answer.split_off(4))
}

fn speaks(answer: &mut Answer<'_>, api: i16, version: i16) -> io::Result<bool> {
    if answer.int16()? != 0 {
        return Err(bad("the broker refused to say which versions it speaks"));
    }
    let mut found = false;
    for _ in 0..answer.int32()? {
        let (key, oldest, newest) = (answer.int16()?, answer.int16()?, answer.int16()?);
        found |= key == api && (oldest..=newest).contains(&version);
    }
    Ok(found)
}

fn read_seen(answer: &mut Answer<'_>) -> io::Result<Seen> {
    answer.int32()?; // throttle time
    let mut brokers = Vec::new();
    for _ in 0..answer.int32()? {
        brokers.push(answer.int32()?);
        answer.skip_string()?; // host
        answer.int32()?; // port
        answer.skip_string()?; // rack
    }
    Ok(brokers)
}

fn bad(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// The unread rest of an answer.
struct Answer<'a>(&'a [u8]);

impl Answer<'_> {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk().ok_or_else(|| bad("the answer ends too early"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn int16(&mut self) -> io::Result<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn int32(&mut self) -> io::Result<i32> {
        self.take().map(i32::from_be_bytes)
    }

    /// A string, which may be missing (length -1).
    fn skip_string(&mut self) -> io::Result<()> {
        let length = usize::try_from(self.int16()?).unwrap_or(0);
        self.0 = self.0.get(length..).ok_or_else(|| bad("a string ends too early"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn an_answer_cut_at_any_byte_is_an_error_and_never_a_panic() {
        let mut whole = Vec::new();
        whole.extend([0, 0, 0, 0, 0, 0, 0, 1]); // throttle, one broker
        whole.extend([0, 0, 0, 7, 0, 2, b'l', b'o', 0, 0, 35, 132, 255, 255]); // 7, "lo", 9092, no rack
        assert_eq!(read_seen(&mut Answer(&whole)).expect("whole"), vec![7]);
        for cut in 0..whole.len() {
            assert!(read_seen(&mut Answer(&whole[..cut])).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_broker_without_our_metadata_version_is_told_apart() {
        let only_newer = [0, 0, 0, 0, 0, 1, 0, 3, 0, 5, 0, 13];
        assert!(!speaks(&mut Answer(&only_newer), METADATA, 4).expect("readable"));
        assert!(speaks(&mut Answer(&only_newer), METADATA, 5).expect("readable"));
    }

    #[test]
    fn something_else_on_the_port_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a caller");
            stream.read_exact(&mut [0; 4]).expect("a question");
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("an answer");
            // Closed only after the caller: closing on unread bytes would take the answer back.
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let said = ask(port).expect_err("that is no Kafka").to_string();
        assert!(said.contains("not Kafka's"), "{said}");
        server.join().expect("the server ends");
    }

    #[test]
    fn nothing_on_the_port_is_an_error() {
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port").port();
        assert!(ask(port).is_err());
    }
}

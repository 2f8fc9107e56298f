//! HTTP over TLS by hand, as an attacker does it who has a certificate of his own.

use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use tandemd::peer::Identity;
use tandemd::peer::tls::{self, Expect};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A connection to whoever answers there.
pub(crate) async fn connect(identity: &Identity, to: SocketAddr) -> TlsStream<TcpStream> {
    let config = tls::client(identity, Expect::Anyone).unwrap();
    // Each from an address of its own, so that it is not the share of one address that ends it.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 1, high, low], 0))).unwrap();
    let stream = socket.connect(to).await.unwrap();
    let name = rustls::pki_types::ServerName::IpAddress(to.ip().into());
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

pub(crate) fn request(method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// A message with its head; nothing if the other side closed before.
pub(crate) async fn message(stream: &mut (impl AsyncRead + Unpin)) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.to_lowercase().lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

/// One request and its answer: the whole head, and the body.
pub(crate) async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    text: &str,
) -> Option<(String, Vec<u8>)> {
    stream.write_all(text.as_bytes()).await.ok()?;
    message(stream).await
}

/// `POST` of JSON; the answer if it was granted.
pub(crate) async fn post(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    path: &str,
    body: &Value,
) -> Option<Value> {
    let (head, body) = ask(stream, &request("POST", path, &body.to_string())).await?;
    head.starts_with("HTTP/1.1 200").then(|| serde_json::from_slice(&body).unwrap())
}

//! What every connection that is taken has, whoever listens: the server of a node, or a witness.

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use socket2::{SockRef, TcpKeepalive};
use std::time::Duration;
use tokio::net::TcpStream;

/// The head of a request and its buffer, in bytes; hyper's least.
const BUFFER: usize = 8 << 10;
/// Header fields.
const HEADERS: usize = 16;

/// One whose other end lost power, or reads nothing, is cut by the kernel. Without these all takes longer, no more.
pub(crate) fn prepare(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let _ = stream.set_nodelay(true);
    let _ = socket.set_tcp_user_timeout(Some(Duration::from_secs(20)));
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(5));
    let _ = socket.set_tcp_keepalive(&keepalive);
}

/// HTTP/1.1 with small heads, each of which has to be there `head` after the connection or the last answer.
pub(crate) fn http(head: Duration) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(BUFFER)
        .max_headers(HEADERS)
        .auto_date_header(false);
    http
}

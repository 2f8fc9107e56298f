//! Somebody on the way who sees and may cut, but has no part in TLS: he counts its records.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    ToServer = 0,
    ToClient = 1,
}

/// What happens at a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum How {
    /// Both connections are closed.
    Close,
    /// Nothing gets through any more, and nobody is told.
    Swallow,
}

/// Where the way is cut: instead of passing on the record with this number (from 0) in this direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) direction: Direction,
    pub(crate) at: usize,
    pub(crate) how: How,
    /// Where later connections get to.
    pub(crate) then: Option<SocketAddr>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    records: [Vec<Vec<u8>>; 2],
}

/// A way to a server. It ends when this is dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    _alive: watch::Sender<()>,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr, cut: Option<Cut>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (alive, mut ended) = watch::channel(());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap(),
                    _ = ended.changed() => return,
                };
                let number = {
                    let mut seen = shared.lock().unwrap();
                    seen.connections += 1;
                    seen.connections
                };
                let first = number == 1;
                let to = if first { Some(server) } else { cut.map_or(Some(server), |c| c.then) };
                let Some(to) = to else { continue };
                let server = TcpStream::connect(to).await.unwrap();
                let cut = cut.filter(|_| first);
                let mut ended = ended.clone();
                let shared = shared.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = carry(client, server, cut, shared) => {}
                        _ = ended.changed() => {}
                    }
                });
            }
        });
        Proxy { address, seen, _alive: alive }
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// All records of a direction, on all connections.
    pub(crate) fn records(&self, direction: Direction) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap().records[direction as usize].clone()
    }
}

async fn carry(client: TcpStream, server: TcpStream, cut: Option<Cut>, seen: Arc<Mutex<Seen>>) {
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    // Dropping both at the end of either closes both.
    tokio::select! {
        () = one_way(client_reads, server_writes, Direction::ToServer, cut, &seen) => {}
        () = one_way(server_reads, client_writes, Direction::ToClient, cut, &seen) => {}
    }
}

async fn one_way(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    cut: Option<Cut>,
    seen: &Mutex<Seen>,
) {
    let mut number = 0;
    loop {
        let mut record = vec![0; 5];
        if from.read_exact(&mut record).await.is_err() {
            return;
        }
        let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
        record.resize(5 + length, 0);
        if from.read_exact(&mut record[5..]).await.is_err() {
            return;
        }
        seen.lock().unwrap().records[direction as usize].push(record.clone());
        match cut {
            Some(c) if c.direction == direction && c.at == number && c.how == How::Close => return,
            Some(c) if c.direction == direction && c.at == number => std::future::pending().await,
            _ => {}
        }
        number += 1;
        if to.write_all(&record).await.is_err() {
            return;
        }
    }
}

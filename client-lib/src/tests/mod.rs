//! Tests against a scripted peer: a test holds the other end of a socket pair and plays the daemon.

mod connection;
mod inline;
mod lending;
mod link;
mod restoring;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;

use blitd_protocol::error::{ErrorCode, Refusal};
use blitd_protocol::reply::{Receipt, Reply, Welcome};
use blitd_protocol::request::{MAX_CARRIED, Request};
use blitd_protocol::transport::{Endpoint, Received, Wait};
use blitd_protocol::value::{Mode, Path};

use crate::Connection;

/// A request as the daemon sees it.
#[derive(Debug)]
struct Asked {
    serial: u64,
    priority: u8,
    request: Request<'static>,
    descriptors: Vec<OwnedFd>,
}

/// The daemon's end of a connection.
struct Peer(Endpoint);

impl Peer {
    /// The next request; `None` once the client has closed.
    fn next(&mut self) -> Option<Asked> {
        self.next_within(Wait::Block).unwrap()
    }

    /// The next request; `Err` where none is there and it may not wait.
    fn next_within(&mut self, wait: Wait) -> Result<Option<Asked>, ()> {
        loop {
            if let Some(message) = self.0.next_message().unwrap() {
                let request = Request::decode(&message.header, message.body).unwrap().into_owned();
                return Ok(Some(Asked {
                    serial: message.header.serial.get(),
                    priority: message.header.priority,
                    request,
                    descriptors: message.descriptors,
                }));
            }
            match self.0.receive(wait).unwrap() {
                Received::Closed => return Ok(None),
                Received::Nothing if wait == Wait::Return => return Err(()),
                Received::Nothing | Received::Bytes => {}
            }
        }
    }

    fn send(&mut self, serial: u64, reply: &Reply<'_>) {
        self.0.queue(|out| reply.encode(serial, out));
        // A client that has closed is not this end's concern.
        let _ = self.0.flush(Wait::Block);
    }

    fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.queue(|out| out.extend_from_slice(bytes));
        assert!(self.0.flush(Wait::Return).unwrap());
    }

    /// Answers the hello.
    fn welcome(&mut self, mode: Mode) {
        let hello = self.next().unwrap();
        assert!(matches!(hello.request, Request::Hello(_)));
        self.send(hello.serial, &welcome(mode));
    }

    /// Answers the next request with done.
    fn done(&mut self) -> Asked {
        let asked = self.next().unwrap();
        self.send(asked.serial, &done());
        asked
    }
}

fn pair() -> (UnixStream, Peer) {
    let (client, daemon) = UnixStream::pair().unwrap();
    (client, Peer(Endpoint::new(daemon)))
}

fn welcome(mode: Mode) -> Reply<'static> {
    Reply::Welcome(Welcome {
        version: 1,
        mode,
        ceiling: 63,
        longest: 69632,
        connection: 1,
        bytes: 1 << 30,
        regions: 64,
        layers: 64,
        requests: 256,
        carried: MAX_CARRIED as u32,
    })
}

fn done() -> Reply<'static> {
    Reply::Done(receipt(7))
}

fn receipt(bytes: u64) -> Receipt {
    Receipt { received: 1, started: 2, finished: 3, bytes, slices: 1, path: Path::InPlace }
}

fn refused(code: ErrorCode) -> Reply<'static> {
    Reply::Refused(Refusal { code, entry: None, text: "not like this".into() })
}

/// Runs `client` on a connection in this mode, and `daemon` on the other end of it in a thread of its own; the
/// handshake is done before either. Returns what `daemon` returns.
fn play<T: Send>(
    mode: Mode,
    daemon: impl FnOnce(&mut Peer) -> T + Send,
    client: impl FnOnce(&mut Connection),
) -> T {
    let (socket, mut peer) = pair();
    thread::scope(|scope| {
        let daemon = scope.spawn(move || {
            peer.welcome(mode);
            daemon(&mut peer)
        });
        {
            let mut connection = Connection::over(socket, "test").unwrap();
            assert_eq!(connection.mode(), mode);
            client(&mut connection);
        }
        daemon.join().unwrap()
    })
}

/// Answers everything with done until the client has closed.
fn all_done(peer: &mut Peer) -> Vec<Asked> {
    let mut all = Vec::new();
    while let Some(asked) = peer.next() {
        peer.send(asked.serial, &done());
        all.push(asked);
    }
    all
}

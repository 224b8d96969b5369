//! Connections and requests coming in; connections that end.

use std::fs::File;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};

use blitd_protocol::reply::Reply;
use blitd_protocol::request::Request;
use nix::sys::epoll::EpollFlags;
use nix::sys::socket::{getsockopt, sockopt};

use super::watch::Source;
use super::{Server, lingering};
use crate::client::{Client, Ending, Intake};
use crate::policy::Credentials;
use crate::policy::accounts::Usage;
use crate::queue::ConnectionId;

/// How many connections are taken in one go; those that still wait wake the loop again.
const ACCEPTS: usize = 4;

/// A descriptor kept back, so that a connection can be taken and closed where there is no number left for it: left
/// alone, it would wake the loop for ever.
#[derive(Debug)]
pub(super) struct Reserve {
    file: Option<File>,
    /// Whether the log says already that there are none left: a flood of connections must not flood it too.
    is_told: bool,
}

impl Reserve {
    pub(super) fn open() -> Self {
        Self { file: File::open("/dev/null").ok(), is_told: false }
    }

    fn spend(&mut self, listener: &UnixListener) {
        self.file = None;
        drop(listener.accept());
        self.file = File::open("/dev/null").ok();
    }
}

impl Server {
    /// Takes some of the connections that wait.
    pub(super) fn accept(&mut self, listener: &UnixListener) {
        self.heard = true;
        for _ in 0..ACCEPTS {
            match listener.accept() {
                Ok((socket, _)) => {
                    self.reserve.is_told = false;
                    self.connect(socket);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if matches!(error.raw_os_error(), Some(nix::libc::EMFILE | nix::libc::ENFILE)) => {
                    if !std::mem::replace(&mut self.reserve.is_told, true) {
                        tracing::warn!(
                            "connections are refused, since there are no descriptors left: {error}"
                        );
                    }
                    self.reserve.spend(listener);
                    return;
                }
                Err(error) => {
                    tracing::warn!("accepting a connection: {error}");
                    return;
                }
            }
        }
    }

    /// Takes in a connected socket.
    pub fn connect(&mut self, socket: UnixStream) {
        let credentials = match getsockopt(&socket, sockopt::PeerCredentials) {
            Ok(peer) => {
                Credentials { pid: u32::try_from(peer.pid()).unwrap_or(0), uid: peer.uid(), gid: peer.gid() }
            }
            Err(errno) => {
                tracing::warn!("a connection without credentials: {errno}");
                return;
            }
        };
        self.connect_as(socket, credentials);
    }

    /// The same, of somebody who is known by other means than the socket.
    pub fn connect_as(&mut self, socket: UnixStream, credentials: Credentials) {
        let id = self.next_connection;
        self.next_connection += 1;
        let limits = self.rooms.policy.limits(&credentials);
        let usage = Usage { connections: 1, ..Usage::default() };
        let charged = self.rooms.accounts.charge(credentials.uid, &limits, usage);
        let mut client = Client::new(id, socket, credentials, limits, usage);
        if let Err(error) = charged {
            tracing::debug!("connection {id}: {error}");
            client.reply(0, &Reply::Refused(error.into()));
            // It is told if it listens; it is not waited for.
            let _ = client.flush();
            return;
        }
        if let Err(errno) = self.watch.add(&client, Source::Connection(id), EpollFlags::EPOLLIN) {
            tracing::warn!("connection {id}: epoll_ctl: {errno}");
            self.rooms.accounts.release(credentials.uid, usage);
            return;
        }
        client.watched = EpollFlags::EPOLLIN.bits();
        tracing::debug!("connection {id}: user {} process {}", credentials.uid, credentials.pid);
        self.clients.insert(id, client);
    }

    /// Something has happened on a connection's socket.
    pub(super) fn hear_client(&mut self, id: ConnectionId, flags: EpollFlags) {
        if flags.contains(EpollFlags::EPOLLOUT) {
            self.replied.push(id);
        }
        // Nobody is there to read a reply, so what may still be in the socket is not looked at.
        if flags.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) {
            self.end(id, &Ending::Closed);
        } else {
            self.read(id);
        }
    }

    /// Reads requests of a connection into the queue, as many as it may have there.
    pub(super) fn read(&mut self, id: ConnectionId) {
        let now = self.rooms.clock.now();
        let Some(client) = self.clients.get_mut(&id) else { return };
        let (mut received, mut hello) = (false, false);
        let ending = loop {
            if !client.may_read(self.queue.len(id)) {
                break None;
            }
            let intake = match client.next_request(now) {
                // What is left in the socket wakes the loop again, after everybody else has had a turn.
                Intake::Nothing if received => break None,
                Intake::Nothing => {
                    received = true;
                    client.receive(now)
                }
                intake => Ok(intake),
            };
            match intake {
                Ok(Intake::Request(incoming)) => {
                    let is_hello = matches!(incoming.request, Ok(Request::Hello(_)));
                    self.queue.push(id, incoming.priority, incoming);
                    if is_hello {
                        hello = true;
                        break None;
                    }
                }
                Ok(Intake::Bytes) => {}
                Ok(Intake::Nothing) => break None,
                Err(ending) => break Some(ending),
            }
        };
        match ending {
            Some(ending) => self.end(id, &ending),
            // It costs next to nothing, and whoever floods keeps nobody out.
            None if hello => {
                self.start(id);
                self.read(id);
            }
            None => self.rewatch(id),
        }
    }

    /// Watches a connection for what is wanted of it now.
    pub(super) fn rewatch(&mut self, id: ConnectionId) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let mut flags = EpollFlags::empty();
        flags.set(EpollFlags::EPOLLIN, client.may_read(self.queue.len(id)));
        flags.set(EpollFlags::EPOLLOUT, client.has_unsent());
        if client.watched == flags.bits() {
            return;
        }
        client.watched = flags.bits();
        if let Err(errno) = self.watch.modify(&*client, Source::Connection(id), flags) {
            tracing::error!("connection {id}: epoll_ctl: {errno}");
        }
    }

    /// Ends a connection, and gives back at once all that it held.
    pub(super) fn end(&mut self, id: ConnectionId, ending: &Ending) {
        let Some(mut client) = self.clients.remove(&id) else { return };
        tracing::debug!("connection {id} ({}): {ending}", client.name());
        if let Err(errno) = self.watch.delete(&client) {
            tracing::error!("connection {id}: epoll_ctl: {errno}");
        }
        self.queue.remove(id);
        if let Some(active) = client.active.take() {
            self.abandon(id, active);
        }
        lingering::leave(&mut self.rooms, &mut client);
        self.rooms.accounts.release(client.credentials().uid, client.usage);
        let (received, sent) = client.traffic();
        let counters = &mut self.rooms.counters;
        counters.requests += client.requests;
        counters.refused += client.refused;
        counters.bytes_received += received;
        counters.bytes_sent += sent;
    }
}

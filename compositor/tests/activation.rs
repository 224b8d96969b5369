//! The daemon under a service manager, whose part the tests play: they make the socket, and are told when it is ready
//! and when it stops (sd_listen_fds(3), sd_notify(3)).

use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use blitd_client::Connection;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A manager that has something to pass on.
struct Manager {
    directory: PathBuf,
    notices: UnixDatagram,
}

/// A daemon that does not outlive its test.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Service {
    fn end(&mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.0.wait().unwrap(), said)
    }
}

impl Manager {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("blitd-activation-{}-{number}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let notices = UnixDatagram::bind(directory.join("notify")).unwrap();
        // A daemon that has died must not keep a test waiting for ever.
        notices.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { directory, notices }
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    /// Starts the daemon with `passed` as its third descriptor. `variables` are what the shell that becomes the daemon
    /// tells it about that: only then is its process id known.
    fn start(&self, passed: impl Into<OwnedFd>, variables: &str, arguments: &[&str]) -> Service {
        let script = format!("exec 3<&0 </dev/null; export {variables}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_blitd")]).args(arguments);
        command.env("NOTIFY_SOCKET", self.directory.join("notify"));
        command.stdin(Stdio::from(passed.into())).stderr(Stdio::piped());
        Service(command.spawn().unwrap())
    }

    /// A client that asks how many outputs there are.
    fn client(&self) -> JoinHandle<usize> {
        let socket = self.socket();
        std::thread::spawn(move || {
            Connection::open_at(&socket, "activation").unwrap().outputs().unwrap().len()
        })
    }

    fn notice(&self) -> String {
        let mut bytes = [0; 256];
        let length = self.notices.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    fn has_no_notice(&self) {
        self.notices.set_nonblocking(true).unwrap();
        assert_eq!(self.notices.recv(&mut [0; 256]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// What sd_listen_fds(3) has the manager say.
const ONE: &str = "LISTEN_FDS=1 LISTEN_PID=$$";
const HEADLESS: [&str; 2] = ["--backend", "headless"];

#[test]
fn a_passed_socket_is_served_and_stays() {
    let manager = Manager::new();
    let listener = UnixListener::bind(manager.socket()).unwrap();
    // Clients need not wait for the daemon to be there.
    let early = manager.client();
    let mut service = manager.start(listener.try_clone().unwrap(), ONE, &HEADLESS);
    assert_eq!(manager.notice(), "READY=1\n");
    assert_eq!(early.join().unwrap(), 1);
    kill(Pid::from_raw(service.0.id() as i32), Signal::SIGTERM).unwrap();
    assert_eq!(manager.notice(), "STOPPING=1\n");
    let (status, said) = service.end();
    assert!(status.success(), "{said}");
    assert!(said.contains(manager.socket().to_str().unwrap()), "{said}");
    // The next one serves who comes meanwhile.
    let between = manager.client();
    let _service = manager.start(listener, ONE, &HEADLESS);
    assert_eq!(between.join().unwrap(), 1);
}

#[test]
fn a_daemon_without_a_display_is_never_ready() {
    let manager = Manager::new();
    let listener = UnixListener::bind(manager.socket()).unwrap();
    let card = ["--backend", "kms", "--card", "/dev/null"];
    let (status, said) = manager.start(listener, ONE, &card).end();
    assert!(!status.success() && said.contains("/dev/null drives no screens"), "{said}");
    manager.has_no_notice();
}

#[test]
fn what_cannot_be_listened_on_is_refused_in_one_line() {
    let manager = Manager::new();
    let refused = |passed: OwnedFd, variables: &str, arguments: &[&str], why: &str| {
        let (status, said) = manager.start(passed, variables, arguments).end();
        assert!(!status.success() && said.lines().count() == 1 && said.contains(why), "{said}");
        manager.has_no_notice();
    };
    let (connection, _other) = UnixStream::pair().unwrap();
    refused(connection.into(), ONE, &HEADLESS, "a socket that does not listen");
    let datagram = UnixDatagram::unbound().unwrap();
    refused(datagram.into(), ONE, &HEADLESS, "fd 3 is not a valid unix stream socket");
    let listener = || OwnedFd::from(UnixListener::bind(manager.socket()).unwrap());
    refused(listener(), "LISTEN_FDS=2 LISTEN_PID=$$", &HEADLESS, "2 sockets");
    std::fs::remove_file(manager.socket()).unwrap();
    let named = ["--backend", "headless", "--socket", "/run/elsewhere"];
    refused(listener(), ONE, &named, "--socket names /run/elsewhere");
}

#[test]
fn what_is_passed_to_another_process_is_left_alone() {
    let manager = Manager::new();
    let own = manager.directory.join("own");
    let listener = UnixListener::bind(manager.socket()).unwrap();
    let arguments = ["--backend", "headless", "--socket", own.to_str().unwrap()];
    let _service = manager.start(listener, "LISTEN_FDS=1 LISTEN_PID=1", &arguments);
    assert_eq!(manager.notice(), "READY=1\n");
    assert!(Connection::open_at(&own, "activation").is_ok());
}

//! Room 12, main: arguments, logging, run, exit code.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use blitd::clock::Clock;
use blitd::display::{BackendChoice, Wish};
use blitd::policy::config::{Config, DEFAULT_PATH, Names, Size};
use blitd::policy::outputs::ModeWish;
use blitd::server::Daemon;
use blitd::server::listener::{ListenError, Listener, default_place};
use blitd::session::{Session, choice, keeper};
use clap::{Parser, Subcommand};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Group, User, geteuid};
use sd_notify::NotifyState;
use tracing_subscriber::filter::LevelFilter;

/// Owns the screen, and puts on it what programs send.
#[derive(Debug, Parser)]
#[command(name = "blitd", version)]
struct Arguments {
    /// What to show pictures on; auto takes a DRM card where there is one, else headless.
    #[arg(long, value_enum, default_value = "auto")]
    backend: BackendChoice,
    /// The size of the headless output, as WIDTHxHEIGHT.
    #[arg(long)]
    size: Option<Size>,
    /// The card to drive, as a file of /dev/dri [default: the first that drives screens].
    #[arg(long, value_name = "FILE")]
    card: Option<PathBuf>,
    /// The mode of the card's screens, as WIDTHxHEIGHT or WIDTHxHEIGHT@HERTZ [default: what each prefers].
    #[arg(long)]
    mode: Option<ModeWish>,
    /// The VT to take, as /dev/tty7, or none [default: the one that blitd is started on, where it is one].
    #[arg(long, value_name = "FILE")]
    tty: Option<PathBuf>,
    /// Where to listen [default: the socket that a service manager passes, or BLITD_SOCKET, or as root
    /// /run/blitd/socket, or blitd/socket in XDG_RUNTIME_DIR].
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The configuration [default: /etc/blitd.toml, where there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the configuration, say what is wrong with it, and end.
    #[arg(long)]
    check_config: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What blitd starts itself for.
#[derive(Debug, Subcommand)]
enum Command {
    /// Gives a VT back when blitd has ended without doing so.
    #[command(name = keeper::COMMAND, hide = true)]
    KeepVt {
        /// blitd's process number.
        process: i32,
        /// The number of the VT to come to the front.
        previous: u16,
        /// The VT.
        vt: PathBuf,
    },
}

/// The permissions of the socket unless the configuration says otherwise: the daemon's own user and group.
const SOCKET_MODE: u32 = 0o660;

/// The users and groups of this machine.
struct System;

impl Names for System {
    fn user(&self, name: &str) -> Option<u32> {
        User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
    }

    fn group(&self, name: &str) -> Option<u32> {
        Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw())
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let level = std::env::var("BLITD_LOG").ok().and_then(|level| level.parse().ok());
    tracing_subscriber::fmt()
        .with_max_level(level.unwrap_or(LevelFilter::INFO))
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("blitd: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Display>> {
    if let Some(Command::KeepVt { process, previous, vt }) = &arguments.command {
        keeper::keep(*process, vt, *previous).map_err(boxed)?;
        tracing::warn!("blitd has ended early: {} shows text again", vt.display());
        return Ok(());
    }
    let mut config = configuration(arguments.config.as_deref())?;
    if arguments.check_config {
        println!("the configuration is good");
        return Ok(());
    }
    if let Some(size) = arguments.size {
        config.headless.size = size;
    }
    if let Some(mode) = arguments.mode {
        config.outputs.set_mode(mode);
    }
    let listener = listener(arguments.socket.as_deref(), &config).map_err(boxed)?;
    let session = match arguments.backend {
        BackendChoice::Headless => Session::none(),
        _ => Session::open(arguments.tty.as_deref(), is_supervised()).map_err(boxed)?,
    };
    raise_descriptor_limit();
    let wish = Wish { card: arguments.card.clone(), ..Wish::configured(&config, arguments.backend) };
    let mut daemon = Daemon::on_vt(session, config, &wish, Clock::monotonic()).map_err(boxed)?;
    daemon.stop_on_signals().map_err(boxed)?;
    daemon.listen(listener.socket().map_err(boxed)?).map_err(boxed)?;
    tracing::info!("listening on {}", listener.place());
    tell_manager(NotifyState::Ready);
    let result = daemon.run().map_err(boxed);
    tell_manager(NotifyState::Stopping);
    result
}

/// The socket: that which a service manager has passed; else one where the option, the configuration or the environment
/// says.
fn listener(option: Option<&Path>, config: &Config) -> Result<Listener, ListenError> {
    let place = match (Listener::passed()?, option) {
        (Some(_), Some(path)) => return Err(ListenError::TwoPlaces { path: path.into() }),
        (Some(passed), None) => return Ok(passed),
        (None, option) => option.or(config.socket.as_deref()).map(PathBuf::from),
    };
    let place = place.map_or_else(|| default_place(geteuid().is_root()), Ok)?;
    Listener::bind(&place, config.socket_mode.unwrap_or(SOCKET_MODE))
}

/// Tells a service manager, where there is one (sd_notify(3)).
fn tell_manager(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("the service manager cannot be told: {error}");
    }
}

/// Whether something will start blitd again after a crash.
fn is_supervised() -> bool {
    choice::is_supervised(std::env::var("SYSTEMD_EXEC_PID").ok().as_deref(), std::process::id())
}

fn boxed(error: impl Display + 'static) -> Box<dyn Display> {
    Box::new(error)
}

/// The configuration in `path`; where none is named, the usual file, or the defaults where that is not there.
fn configuration(path: Option<&Path>) -> Result<Config, Box<dyn Display>> {
    let own_user = geteuid().as_raw();
    let usual = Path::new(DEFAULT_PATH);
    let Some(path) = path.or_else(|| usual.exists().then_some(usual)) else {
        return Ok(Config::of_nothing(own_user));
    };
    let of_file = |fault: &dyn Display| boxed(format!("{}: {fault}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| of_file(&error))?;
    Config::parse(&text, own_user, &System).map_err(|fault| of_file(&fault))
}

/// Every connection takes a descriptor, some more while its regions are made, and one for each of its dmabufs: as many
/// as the kernel lets this process have.
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(errno) = raised {
        tracing::warn!("the limit of open descriptors stays as it is: {errno}");
    }
}

//! `blitctl`: looks into a running blitd.
//!
//! One way through: arguments, a connection, records as the daemon gives them ([`records`], [`priorities`]), then a
//! table ([`table`]) or JSON, or a picture ([`screenshot`]). [`top`] goes that way again and again, and shows what
//! differs ([`rates`]).
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod error;
mod priorities;
mod rates;
mod records;
mod screenshot;
mod table;
mod top;

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use blitd_client::protocol::transport::default_socket;
use blitd_client::{Connection, ConnectionOptions};
use clap::{Parser, Subcommand};
use serde::Serialize;

use error::Error;
use priorities::{Line, Priority};
use records::{Client, Daemon, Layer, Output};
use table::Row;

/// Looks into a running blitd
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The daemon's socket [default: BLITD_SOCKET, the user's own, or the system's]
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the outputs
    Outputs(Listing),
    /// Lists the layers of all clients
    Layers(Listing),
    /// Lists the connected clients
    Clients(Listing),
    /// Tells what the daemon has done since its start, what it holds, and how long requests of each priority have
    /// waited and taken
    Stats(Listing),
    /// Shows again and again what the daemon, its outputs and its clients do
    ///
    /// Rates and means are of the time between two looks; the median, percentiles and the maximum of times are since
    /// the daemon's start. It ends with Ctrl-C, and when the daemon does.
    Top(top::Options),
    /// Writes what an output shows into a PNG file
    Screenshot {
        /// The file
        file: PathBuf,
        /// The output, by its id; 0 is the first
        #[arg(long, value_name = "N", default_value_t)]
        output: u32,
    },
}

#[derive(clap::Args)]
struct Listing {
    /// Prints JSON instead of a table
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Who has closed stderr does not want to know.
            let _ = writeln!(std::io::stderr(), "blitctl: {}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Error> {
    let socket = arguments.socket.unwrap_or_else(default_socket);
    // A question about a daemon that goes is not for the next one.
    let mut connection =
        Connection::open_with(&ConnectionOptions::new("blitctl").at(&socket).not_restored())?;
    let text = match arguments.command {
        Command::Outputs(options) => listing::<_, Output>(&connection.outputs()?, &options)?,
        Command::Layers(options) => listing::<_, Layer>(&connection.layer_statistics()?, &options)?,
        Command::Clients(options) => listing::<_, Client>(&connection.client_statistics()?, &options)?,
        Command::Stats(options) => {
            let daemon = Daemon::from(&connection.daemon_statistics()?);
            let priorities = connection.priority_statistics()?.iter().map(Priority::from).collect();
            let statistics = Statistics { daemon, priorities };
            if options.json { json(&statistics)? } else { statistics.tables() }
        }
        Command::Top(options) => return top::run(&mut connection, &options),
        Command::Screenshot { file, output } => return screenshot::write(&mut connection, output, &file),
    };
    print(&text)
}

/// The daemon as a whole, and the times of its requests.
#[derive(Serialize)]
struct Statistics {
    #[serde(flatten)]
    daemon: Daemon,
    priorities: Vec<Priority>,
}

impl Statistics {
    fn tables(&self) -> String {
        let lines: Vec<Line<'_>> = self.priorities.iter().flat_map(Priority::lines).collect();
        format!("{}\n{}", table::pairs(&self.daemon.pairs()), table::table(&lines))
    }
}

/// Records as a table or as JSON.
fn listing<'a, R: 'a, T>(records: &'a [R], options: &Listing) -> Result<String, Error>
where
    T: Row + Serialize + From<&'a R>,
{
    let rows: Vec<T> = records.iter().map(T::from).collect();
    if options.json { json(&rows) } else { Ok(table::table(&rows)) }
}

fn json(value: &impl Serialize) -> Result<String, Error> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn print(text: &str) -> Result<(), Error> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // Who reads no further has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::Print(error)),
        _ => Ok(()),
    }
}

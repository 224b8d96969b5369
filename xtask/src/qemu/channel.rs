//! What the program in the guest and its host say to each other over a serial port: one line of JSON each, the guest
//! first.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::glass::Part;
use crate::tools::TaskError;

/// The guest's end of the serial port; its first is the kernel's.
const PORT: &str = "/dev/ttyS1";

/// The folder of the host's that the guest can write to.
pub(super) const SHARED: &str = "/run/host";

/// What the guest asks of its host.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Question {
    /// Is this picture, a file of the shared folder, on the glass of this head? In `spoiled` every pixel has to be
    /// another.
    Shows { head: u32, picture: String, spoiled: Vec<Part> },
    /// Are these the pixels by which the last two pictures on the glass of this head differ, all of them and no other?
    Changed { head: u32, part: Part },
    /// Plugs a screen of this size in at a head, changes its size, or unplugs it where that is 0 and 0.
    Plug { head: usize, width: u16, height: u16 },
    /// Presses keys together, and lets them go.
    Keys(Vec<String>),
    /// Nothing more: all was as it should be.
    Done,
}

/// Sends one line.
pub(super) fn send(mut to: impl Write, value: &impl Serialize) -> Result<(), TaskError> {
    let mut line = serde_json::to_string(value).map_err(|error| broken(&error))?;
    line.push('\n');
    to.write_all(line.as_bytes()).map_err(|error| broken(&error))
}

/// Receives one line; `None` where the other end is gone.
pub(super) fn receive<T: DeserializeOwned>(from: &mut BufReader<impl Read>) -> Result<Option<T>, TaskError> {
    let mut line = String::new();
    from.read_line(&mut line).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => broken(&"nothing for too long"),
        _ => broken(&error),
    })?;
    if line.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(&line).map(Some).map_err(|error| broken(&error))
}

fn broken(error: &dyn std::fmt::Display) -> TaskError {
    TaskError::Expected(format!("what guest and host say to each other: {error}"))
}

/// The host, as the guest sees it.
#[derive(Debug)]
pub(super) struct Host {
    port: BufReader<File>,
}

impl Host {
    /// Opens the serial port.
    pub(super) fn open() -> Result<Self, TaskError> {
        let port = File::options().read(true).write(true).open(PORT);
        let port = port.map_err(|source| TaskError::File { path: PORT.into(), source })?;
        Ok(Self { port: BufReader::new(port) })
    }

    /// Asks, and waits until it is done. A host that finds something wrong ends the machine.
    pub(super) fn ask(&mut self, question: &Question) -> Result<(), TaskError> {
        send(self.port.get_ref(), question)?;
        let answer: Option<bool> = receive(&mut self.port)?;
        answer.map(drop).ok_or_else(|| TaskError::Expected("the host is gone".into()))
    }
}

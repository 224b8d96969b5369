//! blitd on the console's own VT, at a real keyboard: nothing that is typed reaches who reads the terminal, keys switch VTs, and
//! the console has its glass back while another VT is in front and after a stop.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use blitd_client::{Connection, NotShown};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process};

use super::glass::{Part, Picture};
use super::guest::Outside;
use super::scene::{Glass, Screen, screens};
use crate::tools::TaskError;

/// The VT that the console is on, which blitd takes.
pub(super) const TERMINAL: &str = "/dev/tty1";

/// Another one. Keys switch to VTs that somebody has opened.
const OTHER: &str = "/dev/tty3";

/// Says which VT is in front, and that it changes.
const ACTIVE: &str = "/sys/class/tty/tty0/active";

/// A colour that no console has.
const OURS: u32 = 0xff00_ff77;

/// Types, switches, and stops.
pub(super) fn play(
    connection: &mut Connection,
    outside: &mut Outside,
    mut daemon: Child,
) -> Result<(), TaskError> {
    let mut active = File::open(ACTIVE).map_err(|source| file(ACTIVE, source))?;
    let mut here = Reader::start(TERMINAL)?;
    let mut there = Reader::start(OTHER)?;
    let [mut screen] = screens(connection)?;
    let layer = screen.cover(connection)?;
    screen.draw_noise(connection, &layer, 1)?;
    screen.look(connection, outside, &[])?;
    let (width, height) = (screen.width, screen.height);
    connection.fill(&layer, OURS, 0, 0, width, height)?;
    screen.look(connection, outside, &[])?;

    for keys in [&["x"][..], &["y"], &["ret"], &["ctrl", "d"], &["ctrl", "c"], &["z"], &["ret"]] {
        outside.press(keys)?;
    }
    outside.press(&["alt", "f3"])?;
    wait_for(&mut active, "tty3")?;
    is_not_ours(&screen, outside)?;
    // The same keys arrive at a terminal that is not muted; and they come in order, so that those before have come too.
    outside.press(&["a"])?;
    outside.press(&["ret"])?;
    let line = there.line()?;
    if line != "a\n" {
        return Err(TaskError::Expected(format!("{line:?} was read where a was typed")));
    }
    match connection.sync(0)?.reason {
        NotShown::OutputOff => {}
        other => {
            return Err(TaskError::Expected(format!("sync says {other:?} while another VT is in front")));
        }
    }
    screen.draw_noise(connection, &layer, 2)?;

    outside.press(&["alt", "f1"])?;
    wait_for(&mut active, "tty1")?;
    while connection.sync(0)?.reason == NotShown::OutputOff {}
    screen.look(connection, outside, &[])?;
    connection.fill(&layer, OURS, 0, 0, width, height)?;
    screen.look(connection, outside, &[])?;

    let failed = |source| TaskError::Start { what: "blitd".into(), source };
    let id = i32::try_from(daemon.id()).ok().and_then(Pid::from_raw);
    id.map_or(Ok(()), |id| kill_process(id, Signal::TERM)).map_err(|errno| failed(errno.into()))?;
    let status = daemon.wait().map_err(failed)?;
    if !status.success() {
        return Err(TaskError::Failed { what: "blitd".into(), status });
    }
    is_not_ours(&screen, outside)?;
    let read = here.end()?;
    if read.is_empty() {
        Ok(())
    } else {
        Err(TaskError::Expected(format!("{read:?} was read from the terminal that is muted")))
    }
}

/// No pixel of the glass is ours.
fn is_not_ours(screen: &Screen, outside: &mut Outside) -> Result<(), TaskError> {
    let (width, height) = (screen.width, screen.height);
    let ours = vec![OURS; width as usize * height as usize];
    let whole = Part { x: 0, y: 0, width: width as usize, height: height as usize };
    outside.shows(0, Picture::of_words(width, height, &ours), &[whole])
}

/// Waits until a VT is in front.
fn wait_for(active: &mut File, name: &str) -> Result<(), TaskError> {
    let failed = |source| file(ACTIVE, source);
    loop {
        let mut text = String::new();
        active.rewind().and_then(|()| active.read_to_string(&mut text)).map_err(failed)?;
        if text.trim() == name {
            return Ok(());
        }
        // The file is ready when it has changed since it was read (sysfs.rst of the kernel).
        let mut polled = [PollFd::from_borrowed_fd(active.as_fd(), PollFlags::PRI)];
        poll(&mut polled, None).map_err(|errno| failed(errno.into()))?;
    }
}

fn file(path: &str, source: std::io::Error) -> TaskError {
    TaskError::File { path: path.into(), source }
}

/// A program that reads a terminal, as a shell does.
struct Reader {
    child: Child,
    read: BufReader<std::process::ChildStdout>,
}

impl Reader {
    fn start(terminal: &str) -> Result<Self, TaskError> {
        let failed = |source| TaskError::Start { what: format!("a reader of {terminal}"), source };
        let input = File::open(terminal).map_err(|source| file(terminal, source))?;
        let mut command = Command::new("cat");
        let mut child = command.stdin(input).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let read = child.stdout.take().ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
        Ok(Self { child, read: BufReader::new(read) })
    }

    /// The next line that it has read.
    fn line(&mut self) -> Result<String, TaskError> {
        let mut line = String::new();
        self.read.read_line(&mut line).map_err(|source| file("what was read", source))?;
        Ok(line)
    }

    /// Ends it, and says what it has read since the last line.
    fn end(&mut self) -> Result<String, TaskError> {
        let mut rest = String::new();
        let ended = self.child.kill().and_then(|()| self.child.wait());
        ended
            .and_then(|_| self.read.read_to_string(&mut rest))
            .map_err(|source| file("what was read", source))?;
        Ok(rest)
    }
}

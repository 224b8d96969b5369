//! What a frame costs a server that puts it on a screen of a card: processor time of blitd, of two compositors that have
//! clients with memory of their own, and of a program that does nothing but copy and flip; in the guest, which has the
//! card.

use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};

use super::Bench;
use super::report::Line;
use super::scenes::{CLOSE_TO_COPIES, OF_WESTON};
use super::servers::build;
use super::statistics::{Rounds, median};
use super::worker::tied;
use crate::setup::{CAGE, WAYLAND, WESTON, ensure};
use crate::tools::{Process, TaskError, run};

/// One of those that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Bare,
    Blitd,
    Weston,
    Cage,
}

impl Server {
    pub(super) const ALL: [Self; 4] = [Self::Bare, Self::Blitd, Self::Weston, Self::Cage];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "two copies and a flip",
            Self::Blitd => "blitd",
            Self::Weston => "Weston",
            Self::Cage => "cage",
        }
    }
}

/// What one of them took in a round: a line that the guest says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cost {
    pub(super) server: Server,
    /// Nanoseconds of processor time for each frame.
    pub(super) time: f64,
    /// Frames a second.
    pub(super) rate: f64,
}

impl Cost {
    pub(super) fn line(&self) -> String {
        format!("{}: {} ns a frame, {} frames a second", self.server.name(), self.time, self.rate)
    }

    fn of(line: &str) -> Option<Self> {
        let (name, numbers) = line.split_once(": ")?;
        let server = Server::ALL.into_iter().find(|server| server.name() == name)?;
        let (time, rate) = numbers.split_once(" ns a frame, ")?;
        let rate = rate.trim().strip_suffix(" frames a second")?;
        Some(Self { server, time: time.parse().ok()?, rate: rate.parse().ok()? })
    }
}

/// Measures all of them in turns, in one guest.
pub(super) fn measure(bench: &mut Bench) -> Result<(), TaskError> {
    for tool in [&WESTON, &CAGE, &WAYLAND] {
        ensure(tool)?;
    }
    crate::vm::prepare()?;
    let servers = &bench.servers;
    build_clients(&servers.folder)?;
    let program = servers.programs.join("xtask");
    let mut guest = servers.this("vm");
    // Without CRCs and writeback: their work would be done on the guest's only CPU, at each flip.
    guest.args(["--timeout", "600", "--kernel", "vkms.nomap=1", "--"]).arg(program).arg("bench-guest");
    guest.arg(&servers.programs).arg(&servers.folder).arg(bench.rounds.to_string());
    guest.stdin(Stdio::null()).stderr(Stdio::inherit());
    let cpus = servers.cpus;
    let output = cpus.start_on(cpus.server, || {
        guest.output().map_err(|source| TaskError::Start { what: "the guest".into(), source })
    })?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(TaskError::Expected(format!("the guest has failed ({}):\n{printed}", output.status)));
    }
    let costs: Vec<Cost> = printed.lines().filter_map(Cost::of).collect();
    let times = |wanted| -> Vec<f64> {
        let of = costs.iter().filter(|cost| cost.server == wanted);
        of.map(|cost| cost.time / 1e6).collect()
    };
    let rates: Vec<f64> =
        costs.iter().filter(|cost| cost.server == Server::Blitd).map(|cost| cost.rate).collect();
    for (peer, goal) in
        [(Server::Weston, Some(OF_WESTON)), (Server::Cage, None), (Server::Bare, Some(CLOSE_TO_COPIES))]
    {
        let rounds = Rounds { ours: times(Server::Blitd), peer: times(peer) };
        if rounds.ours.len() != bench.rounds || rounds.peer.len() != bench.rounds {
            return Err(TaskError::Expected(format!("the guest has not measured every round:\n{printed}")));
        }
        let name = format!("frame 1920x1080 on a card : {}", peer.name());
        bench.result(Line::new(name, &rounds, "ms", goal).composed(median(&rates)));
    }
    Ok(())
}

/// Builds what draws in the guest, and what makes compositors take a mode.
fn build_clients(folder: &Path) -> Result<(), TaskError> {
    let protocol = wayland_protocols()?.join("stable/xdg-shell/xdg-shell.xml");
    let (header, code) = (folder.join("xdg-shell.h"), folder.join("xdg-shell.c"));
    for (what, file) in [("client-header", &header), ("private-code", &code)] {
        run(Program::new("wayland-scanner").arg(what).arg(&protocol).arg(file))?;
    }
    let include = format!("-I{}", folder.display());
    build(folder, "wayland", &[&include, &code.to_string_lossy(), "-lwayland-client"])?;
    build_on_card(folder, "flip")?;
    build(folder, "prefer", &["-I/usr/include/libdrm", "-shared", "-fPIC"])?;
    Ok(())
}

/// Builds a program that has the card for itself.
pub(crate) fn build_on_card(folder: &Path, name: &str) -> Result<PathBuf, TaskError> {
    build(folder, name, &["-I/usr/include/libdrm", "-ldrm"])
}

/// Where the protocols' descriptions are.
fn wayland_protocols() -> Result<PathBuf, TaskError> {
    let mut command = tied("pkg-config");
    command.args(["--variable=pkgdatadir", "wayland-protocols"]).stdout(Stdio::piped());
    Ok(Process::start(&mut command)?.finish()?.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guest_says_is_understood() {
        for server in Server::ALL {
            let cost = Cost { server, time: 1_234_567.5, rate: 59.94 };
            assert_eq!(Cost::of(&cost.line()), Some(cost));
        }
        assert_eq!(Cost::of("blitd: soon"), None);
    }
}

//! blitd side by side with an X server that has shared memory, and with what the machine itself can do.
//!
//! All is measured in one run, round by round in turns, with the same placement on CPUs. docs/performance.md tells how
//! to read it.

pub(crate) mod bilinear;
pub(crate) mod client;
mod command;
pub(crate) mod composing;
mod copies;
mod crossing;
mod draws;
pub(crate) mod echo;
mod flood;
pub(crate) mod glass;
pub(crate) mod guest;
mod kernels;
mod machine;
pub(crate) mod pixels;
mod placement;
mod report;
mod scenes;
mod servers;
pub(crate) mod start;
mod statistics;
mod worker;

use std::path::PathBuf;

use crate::setup::{XCB, XVFB, ensure};
use crate::tools::{TaskError, build_release, folder};

use command::Answer;
use placement::Cpus;
use report::Line;
use scenes::{BILINEARS, COPIES, DRAWS, FLOODING, LEAST_FRAMES};
use servers::Servers;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Writes the results into this file too, as a list of {name, ours, peer, unit, ratio, goal}.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fewer and shorter rounds: rough numbers soon.
    #[arg(long)]
    quick: bool,
    /// Only what has one of these in its name, such as `draw 64x64`, `flood`, `same CPU` [default: everything].
    names: Vec<String>,
}

/// A run.
struct Bench {
    servers: Servers,
    /// How many rounds count.
    rounds: usize,
    /// How long each side takes in a round.
    milliseconds: u64,
    /// How many draws a probe has in a round.
    probes: u64,
    lines: Vec<Line>,
    /// What is no comparison, and why.
    faults: Vec<String>,
}

/// How many frames came on the glass while something was measured.
#[derive(Clone, Copy, Debug, Default)]
struct Frames {
    rounds: u64,
    count: u64,
    nanoseconds: u64,
}

impl Frames {
    fn add(&mut self, answer: &Answer) {
        self.rounds += 1;
        self.count += answer.frames;
        self.nanoseconds += answer.duration;
    }

    /// Whoever has seen a frame go by n times has been there for something between n and n + 1 frames.
    fn a_second(self) -> f64 {
        (self.count as f64 + self.rounds as f64 / 2.0) * 1e9 / self.nanoseconds.max(1) as f64
    }
}

impl Bench {
    fn result(&mut self, line: Line) {
        println!("{}", report::row(&line));
        self.lines.push(line);
    }

    /// A result that only counts where the screen was composed all the while.
    fn composed(&mut self, line: Line, frames: Frames) {
        let rate = frames.a_second();
        if rate < LEAST_FRAMES {
            let fault = format!("{}: {rate:.1} frames a second, less than {LEAST_FRAMES}", line.name);
            println!("!! {fault}");
            self.faults.push(fault);
        }
        self.result(line.composed(rate));
    }
}

/// Measures and prints. Goals that are missed are results; what could not be measured is an error.
pub(crate) fn run(arguments: &Arguments) -> Result<(), TaskError> {
    for tool in [&XVFB, &XCB] {
        ensure(tool)?;
    }
    let programs = build_release(&["blitd", "xtask"])?;
    let cpus = Cpus::of_this_process()?;
    let servers = Servers::start(&programs, &folder("bench")?, cpus)?;
    let (rounds, milliseconds, probes) = if arguments.quick { (3, 150, 20) } else { (11, 250, 25) };
    let mut bench = Bench { servers, rounds, milliseconds, probes, lines: Vec::new(), faults: Vec::new() };
    println!("{}", machine::description(cpus.count()));
    if cpus.placements().len() < 2 {
        println!("!! one CPU: nothing can be measured with one CPU each");
    }
    if let Some(warning) = machine::warning() {
        println!("!! {warning}");
    }
    println!("\n{}", report::heading());
    measure(&mut bench, &arguments.names)?;
    if bench.lines.is_empty() {
        return Err(TaskError::Expected(format!("nothing is named {:?}", arguments.names)));
    }
    if let Some(path) = &arguments.json {
        write(path, &bench.lines)?;
    }
    match bench.faults.as_slice() {
        [] => Ok(()),
        faults => Err(TaskError::Expected(format!("not measured as it should be: {}", faults.join("; ")))),
    }
}

fn measure(bench: &mut Bench, names: &[String]) -> Result<(), TaskError> {
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| name.contains(wanted.as_str()));
    for placement in bench.servers.cpus.placements() {
        let wanted = |name: &str| wanted(&format!("{name}, {}", placement.name()));
        for draws in DRAWS.iter().filter(|draws| wanted(draws.name)) {
            draws::measure(bench, draws, *placement)?;
        }
        if wanted("round trip") {
            draws::measure_round_trip(bench, *placement)?;
        }
        for flooding in FLOODING.into_iter().filter(|flooding| wanted(&format!("flood of {flooding}: 64x64")))
        {
            flood::measure(bench, flooding, *placement)?;
        }
        if wanted("in the message") {
            crossing::measure(bench, *placement)?;
        }
    }
    for size @ (width, height) in COPIES {
        if wanted(&format!("copy {width}x{height}")) {
            copies::measure(bench, size)?;
        }
    }
    if wanted("frame 1920x1080 on a card") {
        glass::measure(bench)?;
    }
    if wanted("over") {
        kernels::measure_over(bench)?;
    }
    if wanted("convert") {
        kernels::measure_conversions(bench)?;
    }
    for (from, to) in BILINEARS {
        if wanted(&bilinear::name(from, to)) {
            bilinear::measure(bench, from, to)?;
        }
    }
    if composing::names().iter().any(|name| wanted(name)) {
        composing::measure(bench)?;
    }
    if wanted("start to first draw") {
        start::measure(bench)?;
    }
    Ok(())
}

fn write(path: &PathBuf, lines: &[Line]) -> Result<(), TaskError> {
    let text = serde_json::to_string_pretty(lines).map_err(|error| TaskError::Expected(error.to_string()))?;
    std::fs::write(path, text + "\n").map_err(|source| TaskError::File { path: path.clone(), source })
}

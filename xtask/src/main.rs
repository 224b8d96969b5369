//! The tasks of this repository. Each does everything it needs on a fresh machine that has Rust.
#![forbid(unsafe_code)]

mod bench;
mod demo;
mod frames;
mod idle;
mod kernels;
mod qemu;
mod setup;
mod test;
mod tools;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The tasks of the blitd repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Starts the daemon and three programs that draw at once, and takes a picture of the screen.
    Demo(demo::Arguments),
    /// Everything that a change must pass: formatting, lints, documentation, licences, idleness, tests.
    Test,
    /// Counts the wake-ups and the memory of a daemon that nobody asks for anything.
    Idle(idle::Arguments),
    /// Compares blitd with an X server that has shared memory, and with what the machine can do. Needs a machine that
    /// does nothing else meanwhile.
    Bench(bench::Arguments),
    /// A client of blitd that is measured.
    #[command(hide = true)]
    BenchClient(bench::client::Arguments),
    /// An end of a bare round trip.
    #[command(hide = true)]
    BenchEcho(bench::echo::Arguments),
    /// Kernels that are measured.
    #[command(hide = true)]
    BenchPixels(bench::pixels::Arguments),
    /// Scaling that is measured.
    #[command(hide = true)]
    BenchBilinear(bench::bilinear::Arguments),
    /// Composing that is measured.
    #[command(hide = true)]
    BenchComposing,
    /// A start of blitd that is measured.
    #[command(hide = true)]
    BenchStart(bench::start::Arguments),
    /// What is measured in a guest.
    #[command(hide = true)]
    BenchGuest(bench::guest::Arguments),
    /// Shows in real time, on the virtual display driver, that an animation at 60 Hz and what is drawn two milliseconds before
    /// a vblank lose no more frames than a bare loop does. Needs a machine that does nothing else meanwhile.
    Frames,
    /// What is measured of that in a guest.
    #[command(hide = true)]
    FramesGuest(frames::Arguments),
    /// Shows that what is on the glass, seen from outside, is what should be: several display drivers in QEMU.
    Qemu(qemu::Arguments),
    /// What runs in QEMU.
    #[command(hide = true)]
    QemuGuest(qemu::guest::Arguments),
    /// Runs a program in a guest that has a virtual display driver.
    Vm(vm::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Demo(arguments) => demo::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::Test => test::run().map(|()| ExitCode::SUCCESS),
        Task::Idle(arguments) => idle::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::Bench(arguments) => bench::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::BenchClient(arguments) => bench::client::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::BenchEcho(arguments) => bench::echo::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::BenchPixels(arguments) => bench::pixels::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::BenchBilinear(arguments) => bench::bilinear::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::BenchComposing => bench::composing::run().map(|()| ExitCode::SUCCESS),
        Task::BenchStart(arguments) => bench::start::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::BenchGuest(arguments) => bench::guest::run_in_guest(&arguments).map(|()| ExitCode::SUCCESS),
        Task::Frames => frames::run().map(|()| ExitCode::SUCCESS),
        Task::FramesGuest(arguments) => frames::run_in_guest(&arguments).map(|()| ExitCode::SUCCESS),
        Task::Qemu(arguments) => qemu::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::QemuGuest(arguments) => qemu::guest::run(&arguments).map(|()| ExitCode::SUCCESS),
        Task::Vm(arguments) => vm::run(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

//! The first program of docs/getting-started.md: it is what the page shows, it is short, and it runs.

#[path = "../../compositor/tests/fixture/running.rs"]
#[allow(dead_code, reason = "the fixture has more than this test takes")]
mod running;

use std::process::Command;

use blitd::policy::config::Config;
use running::Running;

const PAGE: &str = include_str!("../../docs/getting-started.md");
const PROGRAM: &str = include_str!("../src/bin/first.rs");

#[test]
fn the_page_shows_the_program_that_is_tested() {
    let shown = PAGE.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let program = PROGRAM.split_once('\n').unwrap().1;
    assert_eq!(shown, program);
    assert!(shown.lines().count() < 20, "{} lines", shown.lines().count());
}

#[test]
fn the_first_program_draws() {
    let running = Running::start(Config::of_nothing(running::own_user()));
    let output =
        Command::new(env!("CARGO_BIN_EXE_first")).env("BLITD_SOCKET", running.socket()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert!(out.starts_with("drawn, and on the glass with frame "), "{out}");
}

#[test]
fn without_a_daemon_it_says_where_it_looked() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_first")).env("BLITD_SOCKET", "/nowhere/socket").output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && err.contains("/nowhere/socket"), "{err}");
}

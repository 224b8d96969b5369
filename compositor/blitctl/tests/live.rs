//! The command itself, against the real daemon.

#[path = "../../tests/fixture/running.rs"]
#[allow(dead_code, reason = "shared with tests that use more of it")]
mod running;

use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, Stdio};

use blitd_client::{Connection, LayerOptions, Priority};
use nix::pty::{OpenptyResult, Winsize, openpty};
use running::{Running, configuration};
use serde_json::Value;

fn daemon() -> Running {
    Running::start(configuration("[headless]\nsize = \"64x64\"\n"))
}

fn blitctl(daemon: &Running, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blitctl"));
    command.arg("--socket").arg(daemon.socket()).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn printed(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A client that has had some requests done: one with priority 10, and then so many with each of these.
fn painter(daemon: &Running, fills: &[(u8, u64)]) -> Connection {
    let mut connection = Connection::open_at(daemon.socket(), "painter").unwrap();
    let layer = connection.create_layer(&LayerOptions::new(64, 64)).unwrap();
    for (number, count) in fills {
        connection.set_priority(Priority::new(*number).unwrap());
        for _ in 0..*count {
            connection.fill(&layer, 0xff00_ff00, 0, 0, 64, 64).unwrap();
        }
    }
    connection
}

#[test]
fn stats_tell_the_times_of_each_priority() {
    let daemon = daemon();
    // More of them than one message tells of.
    let fills = [(0, 2), (20, 5), (21, 1), (22, 4), (40, 1), (41, 2), (42, 2), (63, 3)];
    let _painter = painter(&daemon, &fills);
    let json: Value = serde_json::from_str(&printed(blitctl(&daemon, &["stats", "--json"]))).unwrap();
    let counts: Vec<_> = json["priorities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|priority| {
            let service = &priority["service"];
            let number = |name: &str| service[name].as_u64().unwrap();
            assert!(number("median_nanoseconds") <= number("percentile_99_nanoseconds"));
            assert!(number("percentile_99_nanoseconds") <= number("maximum_nanoseconds"));
            assert!(number("maximum_nanoseconds") <= number("sum_nanoseconds"));
            (priority["priority"].as_u64().unwrap(), priority["requests"].as_u64().unwrap())
        })
        .collect();
    let mut expected = fills.map(|(number, count)| (u64::from(number), count)).to_vec();
    expected.insert(1, (10, 1));
    assert_eq!(counts, expected);
    assert_eq!(json["layers"], 1, "beside what it holds");
    let table = printed(blitctl(&daemon, &["stats"]));
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
    for row in
        [["10", "waiting", "1"], ["10", "service", "1"], ["63", "waiting", "3"], ["63", "service", "3"]]
    {
        assert!(rows.iter().any(|other| *other == row), "{row:?}: {table}");
    }
}

#[test]
fn top_shows_as_many_as_it_is_told() {
    let daemon = daemon();
    let _painter = painter(&daemon, &[(20, 1)]);
    let shown = printed(blitctl(&daemon, &["top", "--interval", "0.1", "--count", "2"]));
    for text in ["blitd 0.", "headless-1", "  20  service", "  painter ", "  blitctl "] {
        assert_eq!(shown.matches(text).count(), 2, "{text}: {shown}");
    }
    assert!(!shown.contains('\x1b'), "no terminal is steered where there is none: {shown}");
}

#[test]
fn top_shows_a_terminal_what_fits_in_place_of_what_was_there() {
    let daemon = daemon();
    let size = Winsize { ws_row: 3, ws_col: 20, ws_xpixel: 0, ws_ypixel: 0 };
    let OpenptyResult { master, slave } = openpty(&size, None).unwrap();
    let mut command = blitctl(&daemon, &["top", "--interval", "0.1", "--count", "2"]);
    let status = command.stdout(slave).status().unwrap();
    // With the command goes the last descriptor of the terminal's other end; then reading it is an error (EIO).
    drop(command);
    let mut shown = Vec::new();
    let _ = File::from(master).read_to_end(&mut shown);
    let shown = String::from_utf8(shown).unwrap();
    assert!(status.success());
    let pictures: Vec<&str> = shown.split("\x1b[H\x1b[J").collect();
    assert_eq!((pictures.len(), pictures[0]), (3, ""), "{shown:?}");
    for picture in &pictures[1..] {
        let lines: Vec<&str> = picture.lines().collect();
        assert!(lines.len() == 2 && lines[0].starts_with("blitd 0."), "{shown:?}");
        assert!(lines.iter().all(|line| line.chars().count() <= 20), "{shown:?}");
    }
}

/// The first of what it shows.
fn first(top: &mut Child) -> String {
    let mut shown = Vec::new();
    let mut bytes = [0; 4096];
    while !shown.ends_with(b"\n\n") || !String::from_utf8_lossy(&shown).contains("CONNECTION") {
        let count = top.stdout.as_mut().unwrap().read(&mut bytes).unwrap();
        assert!(count > 0, "it has ended");
        shown.extend_from_slice(&bytes[..count]);
    }
    String::from_utf8(shown).unwrap()
}

#[test]
fn top_ends_with_the_daemon() {
    let daemon = daemon();
    let mut top = blitctl(&daemon, &["top", "--interval", "0.1"]).spawn().unwrap();
    assert!(first(&mut top).starts_with("blitd 0."));
    drop(daemon);
    let output = top.wait_with_output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("blitctl: "));
}

#[test]
fn top_ends_with_its_reader() {
    let daemon = daemon();
    let mut top = blitctl(&daemon, &["top", "--interval", "0.1"]).spawn().unwrap();
    first(&mut top);
    drop(top.stdout.take());
    let output = top.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

//! What has happened between two looks at a daemon, as text. Pure.

use blitd_client::{ClientRecord, DaemonRecord, OutputRecord, PriorityRecord};

use crate::priorities::{Line, Priority, mean};
use crate::records::{kibibytes, mebibytes, name};
use crate::table::{Cell, Row, table};

/// What the daemon told at one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// The daemon as a whole.
    pub(crate) daemon: DaemonRecord,
    /// Its outputs.
    pub(crate) outputs: Vec<OutputRecord>,
    /// The times of its requests.
    pub(crate) priorities: Vec<PriorityRecord>,
    /// Its clients.
    pub(crate) clients: Vec<ClientRecord>,
}

/// How often something happened in a second.
#[derive(Clone, Copy, Debug)]
struct PerSecond(f64);

impl PerSecond {
    /// What has been added since, for each second.
    fn of(self, before: u64, now: u64) -> f64 {
        now.saturating_sub(before) as f64 / self.0
    }

    fn number(self, before: u64, now: u64) -> Cell {
        Cell::number(format!("{:.1}", self.of(before, now)))
    }

    fn mebibytes(self, before: u64, now: u64) -> Cell {
        Cell::number(mebibytes(self.of(before, now) as u64))
    }

    fn kibibytes(self, before: u64, now: u64) -> Cell {
        Cell::number(kibibytes(self.of(before, now) as u64))
    }
}

/// What `blitctl top` shows: rates between two samples. Between two daemons nothing can be told apart, so a daemon that
/// has begun since the first is looked at as from its start.
pub(crate) fn show(before: &Sample, now: &Sample) -> String {
    let start = Sample::default();
    let is_same =
        before.daemon.pid == now.daemon.pid && before.daemon.uptime.get() <= now.daemon.uptime.get();
    let before = if is_same { before } else { &start };
    let nanoseconds = now.daemon.uptime.get() - before.daemon.uptime.get();
    let rate = PerSecond(nanoseconds.max(1) as f64 / 1e9);
    let mut clients: Vec<Client> =
        now.clients.iter().map(|client| Client::new(before, client, rate)).collect();
    clients.sort_by(|one, other| other.load.total_cmp(&one.load));
    let outputs: Vec<Output> = now.outputs.iter().map(|output| Output::new(before, output, rate)).collect();
    [
        heading(&before.daemon, &now.daemon, rate),
        table(&outputs),
        priorities(before, now, rate),
        table(&clients),
    ]
    .join("\n")
}

fn heading(before: &DaemonRecord, now: &DaemonRecord, rate: PerSecond) -> String {
    let seconds = now.uptime.get() / 1_000_000_000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let of = |field: fn(&DaemonRecord) -> u64| rate.of(field(before), field(now));
    format!(
        "blitd {}, process {}, up {hours}:{minutes:02}:{seconds:02}, {} connections, {} layers\n\
         {:.1} requests/s, {:.1} refused/s, {} MiB/s drawn, {:.1} slices/s\n",
        name(now.version),
        now.pid,
        now.connections,
        now.layers,
        of(|record| record.requests.get()),
        of(|record| record.refused.get()),
        mebibytes(of(|record| record.drawn.get()) as u64),
        of(|record| record.slices.get()),
    )
}

struct Output(Vec<Cell>);

impl Output {
    fn new(before: &Sample, now: &OutputRecord, rate: PerSecond) -> Self {
        let old = before.outputs.iter().find(|old| old.output == now.output);
        let (frames, composed) = old.map_or((0, 0), |old| (old.frames.get(), old.composed.get()));
        Self(vec![
            Cell::number(now.output),
            Cell::text(name(now.name)),
            Cell::text(if now.off != 0 { "off" } else { "on" }),
            rate.number(frames, now.frames.get()),
            rate.mebibytes(composed, now.composed.get()),
        ])
    }
}

impl Row for Output {
    const HEADS: &'static [&'static str] = &["OUTPUT", "NAME", "STATE", "FRAMES/S", "COMPOSED MIB/S"];

    fn cells(&self) -> Vec<Cell> {
        self.0.clone()
    }
}

struct Times(Vec<Cell>);

impl Row for Times {
    const HEADS: &'static [&'static str] = &[
        "PRIORITY",
        "TIME",
        "REQUESTS/S",
        "MEAN US",
        Line::SPREAD[0],
        Line::SPREAD[1],
        Line::SPREAD[2],
        Line::SPREAD[3],
        Line::SPREAD[4],
    ];

    fn cells(&self) -> Vec<Cell> {
        self.0.clone()
    }
}

/// Requests and their mean times between the samples. The spread of the times cannot be had but since the start.
fn priorities(before: &Sample, now: &Sample, rate: PerSecond) -> String {
    let mut rows = Vec::new();
    for record in &now.priorities {
        let none = PriorityRecord::default();
        let old = before.priorities.iter().find(|old| old.priority == record.priority).unwrap_or(&none);
        let count = record.count.get().saturating_sub(old.count.get());
        let sums = [
            record.waiting.sum.get().saturating_sub(old.waiting.sum.get()),
            record.service.sum.get().saturating_sub(old.service.sum.get()),
        ];
        for (line, sum) in Priority::from(record).lines().iter().zip(sums) {
            let own = [rate.number(old.count.get(), record.count.get()), Cell::number(mean(sum, count))];
            rows.push(Times(line.names().into_iter().chain(own).chain(line.spread()).collect()));
        }
    }
    table(&rows) + "(from the median on: since the daemon's start)\n"
}

struct Client {
    /// Requests in a second.
    load: f64,
    cells: Vec<Cell>,
}

impl Client {
    fn new(before: &Sample, now: &ClientRecord, rate: PerSecond) -> Self {
        let none = ClientRecord::default();
        let old = before.clients.iter().find(|old| old.connection == now.connection).unwrap_or(&none);
        Self {
            load: rate.of(old.requests.get(), now.requests.get()),
            cells: vec![
                Cell::number(now.connection),
                Cell::text(name(now.name)),
                Cell::number(now.pid),
                Cell::number(now.uid),
                rate.number(old.requests.get(), now.requests.get()),
                rate.number(old.refused.get(), now.refused.get()),
                rate.kibibytes(old.bytes_received.get(), now.bytes_received.get()),
                rate.kibibytes(old.bytes_sent.get(), now.bytes_sent.get()),
                Cell::number(mebibytes(now.region_bytes.get())),
                Cell::number(mebibytes(now.layer_bytes.get())),
            ],
        }
    }
}

impl Row for Client {
    const HEADS: &'static [&'static str] = &[
        "CONNECTION",
        "NAME",
        "PID",
        "UID",
        "REQUESTS/S",
        "REFUSED/S",
        "RECEIVED KIB/S",
        "SENT KIB/S",
        "REGIONS MIB",
        "LAYERS MIB",
    ];

    fn cells(&self) -> Vec<Cell> {
        self.cells.clone()
    }
}

/// As much of a text as a terminal of this size shows without scrolling: the end of the last line needs a row too. One
/// that has no size, such as a serial line, gets all of it.
pub(crate) fn fit(text: &str, rows: usize, columns: usize) -> String {
    let most = |number: usize| if number == 0 { usize::MAX } else { number };
    let (rows, columns) = (most(rows) - 1, most(columns));
    let lines = text.lines().take(rows);
    lines.map(|line| line.chars().take(columns).collect::<String>() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use blitd_client::protocol::value::Name;

    use super::*;
    use crate::priorities::tests::record;

    const SECOND: u64 = 1_000_000_000;

    fn client(connection: u64, title: &str, requests: u64) -> ClientRecord {
        ClientRecord {
            connection: connection.into(),
            pid: 100.into(),
            uid: 1000.into(),
            requests: requests.into(),
            refused: (requests / 10).into(),
            bytes_received: (requests * 1024).into(),
            bytes_sent: (requests * 512).into(),
            layer_bytes: (3 << 20).into(),
            name: *Name::new(title).as_bytes(),
            ..ClientRecord::default()
        }
    }

    fn sample(seconds: u64) -> Sample {
        Sample {
            daemon: DaemonRecord {
                uptime: (3_600 * SECOND + seconds * SECOND).into(),
                requests: (1_000 + seconds * 100).into(),
                refused: seconds.into(),
                slices: (7 * seconds).into(),
                drawn: (seconds << 20).into(),
                pid: 412.into(),
                connections: 2.into(),
                layers: 3.into(),
                version: *Name::new("0.1.0").as_bytes(),
                ..DaemonRecord::default()
            },
            outputs: vec![OutputRecord {
                output: 1.into(),
                frames: (100 + 60 * seconds).into(),
                composed: ((5 * seconds) << 20).into(),
                name: *Name::new("headless-1").as_bytes(),
                ..OutputRecord::default()
            }],
            priorities: vec![record(10, 50 + 20 * seconds, 1_000 * seconds * 40)],
            clients: vec![client(1, "calm", 5), client(2, "busy", 30 * seconds)],
        }
    }

    #[test]
    fn rates_are_of_what_happened_between_the_samples() {
        let shown = show(&sample(10), &sample(12));
        let expected = "\
blitd 0.1.0, process 412, up 1:00:12, 2 connections, 3 layers
100.0 requests/s, 1.0 refused/s, 1.0 MiB/s drawn, 7.0 slices/s

OUTPUT  NAME        STATE  FRAMES/S  COMPOSED MIB/S
     1  headless-1  on         60.0             5.0

PRIORITY  TIME     REQUESTS/S  MEAN US  MEDIAN US  90 % US  99 % US  99.9 % US  MAXIMUM US
      10  waiting        20.0      2.0        1.0      2.0      3.0        4.5         5.0
      10  service        20.0     20.0       10.0     20.0     30.0       45.0        50.0
(from the median on: since the daemon's start)

CONNECTION  NAME  PID   UID  REQUESTS/S  REFUSED/S  RECEIVED KIB/S  SENT KIB/S  REGIONS MIB  LAYERS MIB
         2  busy  100  1000        30.0        3.0            30.0        15.0          0.0         3.0
         1  calm  100  1000         0.0        0.0             0.0         0.0          0.0         3.0
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_is_new_has_all_it_did_since() {
        let mut before = sample(10);
        before.clients.clear();
        before.outputs.clear();
        before.priorities.clear();
        let shown = show(&before, &sample(12));
        assert!(shown.contains("busy  100  1000       180.0"), "{shown}");
        assert!(shown.contains("on        410.0"), "{shown}");
        assert!(shown.contains("10  waiting       145.0"), "{shown}");
    }

    #[test]
    fn a_new_daemon_is_looked_at_from_its_start() {
        let mut now = sample(1);
        now.daemon.uptime = (10 * SECOND).into();
        let shown = show(&sample(10), &now);
        assert!(shown.contains("up 0:00:10") && shown.contains("\n110.0 requests/s"), "{shown}");
    }

    #[test]
    fn no_time_at_all_is_no_fault() {
        assert!(show(&sample(1), &sample(1)).contains("\n0.0 requests/s"));
    }

    #[test]
    fn a_terminal_gets_what_fits() {
        assert_eq!(fit("abc\nd\u{e4}f\nghi\n", 3, 2), "ab\nd\u{e4}\n");
        assert_eq!(fit("abc\ndef\n", 0, 0), "abc\ndef\n");
    }
}

//! The daemon is killed (SIGKILL) at random points of what several programs ask of it, and started again. The programs
//! draw on as if nothing had been, and the screen shows what they drew.

mod fixture;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use blitd_client::{BatchEntry, Connection, Draw, Format, ImageView, Layer, LayerOptions, Pixels, Region};
use fixture::Random;

/// How often the daemon is killed.
const KILLS: u64 = 200;

/// The most requests that are answered between a start and a kill.
const MOST_ANSWERED: u64 = 60;

/// So long that something is wrong: a test that fails must end.
const LONG: Duration = Duration::from_secs(120);

const SCREEN: (u32, u32) = (640, 480);

/// The size of each program's layer.
const SIZE: (u32, u32) = (200, 150);

/// The size of the image in each region.
const IMAGE: (u32, u32) = (64, 48);

/// The real daemon, until it is dropped.
struct Daemon(Child);

impl Daemon {
    /// Returns when it listens.
    fn start(socket: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blitd"));
        command.args(["--backend", "headless", "--size", "640x480", "--socket"]).arg(socket);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        while !lines.next().expect("it ended before it listened").unwrap().contains("listening") {}
        // What it says later goes where the test's words go.
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("blitd: {line}")));
        Self(child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// What a program has been told that its layer shows.
struct Picture {
    at: (u32, u32),
    words: Vec<u32>,
}

impl Picture {
    fn new(at: (u32, u32)) -> Self {
        Self { at, words: vec![0xff00_0000; (SIZE.0 * SIZE.1) as usize] }
    }

    /// A rectangle of an image has come into the layer.
    fn draw(&mut self, at: (u32, u32), (width, height): (u32, u32), image: impl Fn(u32, u32) -> u32) {
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            if at.0 + x < SIZE.0 && at.1 + y < SIZE.1 {
                self.words[((at.1 + y) * SIZE.0 + at.0 + x) as usize] = 0xff00_0000 | image(x, y);
            }
        }
    }

    /// The first of its rows that the screen does not show.
    fn wrong_row(&self, screen: &[u32]) -> Option<u32> {
        let wrong = |(row, words): &(u32, &[u32])| {
            let start = ((self.at.1 + row) * SCREEN.0 + self.at.0) as usize;
            screen[start..start + words.len()] != **words
        };
        (0..).zip(self.words.chunks(SIZE.0 as usize)).find(wrong).map(|(row, _)| row)
    }
}

/// A program that draws all the time.
struct Program {
    connection: Connection,
    layer: Layer,
    picture: Picture,
    random: Random,
    answered: Sender<()>,
}

impl Program {
    fn start(socket: &Path, number: u32, answered: Sender<()>) -> Self {
        let mut connection = Connection::open_at(socket, "program").unwrap();
        // A daemon of a debug build on a busy machine takes its time to start; that it is there in the end is the test.
        connection.set_timeout(None);
        let at = (number % 3 * 210 + 3, number / 3 * 160 + 5);
        let options = LayerOptions::new(SIZE.0, SIZE.1).at(at.0 as i32, at.1 as i32);
        let layer = connection.create_layer(&options).unwrap();
        Self { connection, layer, picture: Picture::new(at), random: Random(number.into()), answered }
    }

    fn region(&mut self) -> Region {
        self.connection.create_region((IMAGE.0 * IMAGE.1 * 4) as usize).unwrap()
    }

    fn paint(&mut self, region: &mut Region) {
        region.pixels_mut().iter_mut().for_each(|pixel| *pixel = self.random.next() as u32 & 0xff_ffff);
    }

    fn place(&mut self) -> (u32, u32) {
        (self.random.below(SIZE.0.into()) as u32, self.random.below(SIZE.1.into()) as u32)
    }

    fn drawn(&mut self, at: (u32, u32), region: &mut Region) {
        let bytes: Vec<[u8; 4]> = region.bytes().as_chunks().0.to_vec();
        self.picture.draw(at, IMAGE, |x, y| u32::from_le_bytes(bytes[(y * IMAGE.0 + x) as usize]));
        self.answered.send(()).unwrap();
    }

    /// Waits for each reply: draws, fills, batches, pixels in the message.
    fn block(&mut self, region: &mut Region) {
        let at = self.place();
        let draw = draw_at(at);
        let colour = self.random.next() as u32 & 0xff_ffff;
        let fill_at = self.place();
        let fill = Pixels { x: fill_at.0 as i32, y: fill_at.1 as i32, width: 31, height: 17 };
        match self.random.below(4) {
            0 => {
                self.connection.fill(&self.layer, colour, fill.x, fill.y, 31, 17).unwrap();
                self.picture.draw(fill_at, (31, 17), |_, _| colour);
            }
            1 => {
                self.paint(region);
                let entries =
                    [BatchEntry::Fill(&self.layer, colour, fill), BatchEntry::Draw(&self.layer, draw)];
                self.connection.batch(&mut *region, &entries).unwrap();
                self.picture.draw(fill_at, (31, 17), |_, _| colour);
                self.drawn(at, region);
            }
            2 => {
                self.paint(region);
                self.connection.draw_pixels(&self.layer, region.bytes(), &draw).unwrap();
                self.drawn(at, region);
            }
            _ => {
                self.paint(region);
                self.connection.draw(&self.layer, region, &draw).unwrap();
                self.drawn(at, region);
            }
        }
    }

    /// Lends two regions in turn, several draws from each, and paints one while the other is lent.
    fn pipeline(&mut self, regions: &mut Vec<Region>) {
        let mut lent = Vec::new();
        for mut region in std::mem::take(regions) {
            self.paint(&mut region);
            let places: Vec<_> = (0..4).map(|_| self.place()).collect();
            let draws = places.iter().map(|at| (&self.layer, draw_at(*at)));
            lent.push((self.connection.lend_draws(region, draws).unwrap(), places));
            self.connection.flush().unwrap();
        }
        for (lent, places) in lent {
            let (mut region, answers) = lent.wait(&mut self.connection).unwrap();
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
            places.into_iter().for_each(|at| self.drawn(at, &mut region));
            regions.push(region);
        }
    }

    /// Draws until it is told to stop for a moment, so that what there is can be compared; and so on until the end.
    fn run(mut self, pipelined: bool, stop: &Stop, pictures: &Sender<Picture>) {
        let count = if pipelined { 2 } else { 1 };
        let mut regions: Vec<Region> = (0..count).map(|_| self.region()).collect();
        loop {
            while !stop.asked.load(Ordering::Relaxed) {
                match pipelined {
                    true => self.pipeline(&mut regions),
                    false => self.block(&mut regions[0]),
                }
            }
            // Answered when the connection has been restored.
            self.connection.outputs().unwrap();
            let Picture { at, words } = &self.picture;
            pictures.send(Picture { at: *at, words: words.clone() }).unwrap();
            stop.all.wait();
            if stop.end.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

/// How programs are stopped for a moment, or for good.
struct Stop {
    asked: AtomicBool,
    all: Barrier,
    end: AtomicBool,
}

fn draw_at(at: (u32, u32)) -> Draw {
    Draw::new(ImageView::packed(IMAGE.0, IMAGE.1, Format::Xrgb8888)).at(at.0 as i32, at.1 as i32)
}

fn screen(socket: &Path) -> Vec<u32> {
    let mut viewer = Connection::open_at(socket, "viewer").unwrap();
    let mut region = viewer.create_region((SCREEN.0 * SCREEN.1 * 4) as usize).unwrap();
    let image = ImageView::packed(SCREEN.0, SCREEN.1, Format::Xrgb8888);
    viewer.capture_output(0, 0, 0, &mut region, &image).unwrap();
    region.pixels_mut().to_vec()
}

/// A program that has drawn once, and sleeps.
fn sleeper(socket: &Path, number: u32) -> (Connection, Picture) {
    let mut program = Program::start(socket, number, channel().0);
    let mut region = program.region();
    program.paint(&mut region);
    program.connection.draw(&program.layer, &mut region, &draw_at((50, 40))).unwrap();
    let bytes: Vec<[u8; 4]> = region.bytes().as_chunks().0.to_vec();
    program.picture.draw((50, 40), IMAGE, |x, y| u32::from_le_bytes(bytes[(y * IMAGE.0 + x) as usize]));
    (program.connection, program.picture)
}

#[test]
fn the_picture_survives_random_kills() {
    const PROGRAMS: usize = 4;
    let directory = std::env::temp_dir().join(format!("blitd-kills-{}", std::process::id()));
    let socket: PathBuf = directory.join("socket");
    let mut daemon = Some(Daemon::start(&socket));
    let (mut sleeping, still) = sleeper(&socket, 8);
    let (answered, answers) = channel();
    let (sender, pictures) = channel();
    let stop =
        Stop { asked: AtomicBool::new(false), all: Barrier::new(PROGRAMS + 1), end: AtomicBool::new(false) };
    let (mut random, mut wrong) = (Random(42), None);
    thread::scope(|scope| {
        for number in 0..PROGRAMS {
            let program = Program::start(&socket, number as u32, answered.clone());
            let (stop, sender) = (&stop, sender.clone());
            scope.spawn(move || program.run(number % 2 == 1, stop, &sender));
        }
        for kill in 1..=KILLS {
            for _ in 0..=random.below(MOST_ANSWERED) {
                answers.recv_timeout(LONG).expect("the programs have failed");
            }
            drop(daemon.take());
            // Those that had been answered by then do not count for the next.
            while answers.try_recv().is_ok() {}
            daemon = Some(Daemon::start(&socket));
            stop.asked.store(true, Ordering::Relaxed);
            let next = |_| pictures.recv_timeout(LONG).expect("a program has failed");
            let drawn: Vec<Picture> = (0..PROGRAMS).map(next).collect();
            // The sleeper's picture comes back while it sleeps: only the test must know when it has.
            while sleeping.wait_for_pulses(None).unwrap().is_empty() {}
            let screen = screen(&socket);
            let place = |picture: &Picture| picture.wrong_row(&screen).map(|row| (kill, picture.at, row));
            wrong = drawn.iter().chain([&still]).find_map(place);
            stop.asked.store(false, Ordering::Relaxed);
            stop.end.store(kill == KILLS || wrong.is_some(), Ordering::Relaxed);
            stop.all.wait();
            if wrong.is_some() {
                break;
            }
        }
    });
    drop(daemon);
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(wrong, None, "after this kill, this row of the layer here is not what was drawn");
}

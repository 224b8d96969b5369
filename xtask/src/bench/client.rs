//! What runs in the processes that are measured: the client of blitd, of the same shape as peer.c, and the two ends of
//! a bare round trip.

use std::io::{BufRead, Write, stdin, stdout};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use blitd_client::{
    BatchEntry, Connection, Draw, Error, Format, ImageView, Layer, LayerOptions, Priority, Receipt, Region,
    Shown,
};
use rustix::event::{PollFd, PollFlags, poll};

use super::command::{Answer, Command, Scene};
use super::scenes::{BATCH, PAUSE};
use crate::tools::TaskError;

/// How large the draw is that shows that pixels come on the screen.
const SAMPLE: u32 = 64;

/// A client of the daemon that is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The daemon's socket.
    socket: PathBuf,
    /// The width of the layer that it draws into, in pixels.
    width: u32,
    /// Its height.
    height: u32,
    /// Its place among the layers.
    #[arg(long, default_value_t = 0)]
    z: i32,
    /// The layer is not shown.
    #[arg(long)]
    hidden: bool,
    /// The priority of its requests.
    #[arg(long, default_value_t = 10)]
    priority: u8,
}

/// Does what it is told until nobody tells it anything more.
pub(crate) fn run(arguments: &Arguments) -> Result<(), TaskError> {
    let mut client = Client::open(arguments)?;
    client.check(arguments.hidden)?;
    say("ready")?;
    answer_commands(|command| client.obey(command))
}

/// Answers each line that is a command.
pub(super) fn answer_commands(
    mut obey: impl FnMut(&Command) -> Result<Answer, TaskError>,
) -> Result<(), TaskError> {
    loop {
        let mut line = String::new();
        let length = stdin().lock().read_line(&mut line).map_err(|error| lost(&error))?;
        if length == 0 {
            return Ok(());
        }
        // Any line ends a flood.
        if line.trim() == "stop" {
            continue;
        }
        let command: Command = line.parse().map_err(TaskError::Expected)?;
        say(&obey(&command)?.to_string())?;
    }
}

pub(super) fn say(line: &str) -> Result<(), TaskError> {
    let mut out = stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| lost(&error))
}

fn lost(error: &std::io::Error) -> TaskError {
    TaskError::Expected(format!("a client of the benchmark has lost its driver: {error}"))
}

/// Does something again and again for so many milliseconds. What it returns is how long it took, where that is not what
/// it took here.
pub(super) fn timed(
    milliseconds: u64,
    mut step: impl FnMut() -> Result<Option<u64>, TaskError>,
) -> Result<Vec<u64>, TaskError> {
    let end = Instant::now() + Duration::from_millis(milliseconds);
    let mut times = Vec::new();
    loop {
        let before = Instant::now();
        let told = step()?;
        let after = Instant::now();
        times.push(told.unwrap_or_else(|| nanoseconds(after - before)));
        if after >= end {
            return Ok(times);
        }
    }
}

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

struct Client {
    connection: Connection,
    layer: Layer,
    region: Region,
}

impl Client {
    fn open(arguments: &Arguments) -> Result<Self, TaskError> {
        let &Arguments { width, height, z, hidden, .. } = arguments;
        let mut connection = Connection::open_at(&arguments.socket, "bench")?;
        let priority =
            Priority::new(arguments.priority).map_err(|error| TaskError::Expected(error.to_string()))?;
        connection.set_priority(priority);
        let options = LayerOptions::new(width, height).z(z);
        let layer = connection.create_layer(&if hidden { options.hidden() } else { options })?;
        let mut region = connection.create_region(width as usize * height as usize * 4)?;
        for (pixel, index) in region.pixels_mut().iter_mut().zip(0_u32..) {
            *pixel = index.wrapping_mul(2_654_435_761) & 0x00ff_ffff;
        }
        Ok(Self { connection, layer, region })
    }

    /// Fails where pixels do not come where they should.
    fn check(&mut self, hidden: bool) -> Result<(), TaskError> {
        let image = ImageView::packed(SAMPLE, SAMPLE, Format::Xrgb8888);
        let Self { connection, layer, region } = self;
        connection.draw(layer, region, &Draw::new(image))?;
        connection.sync(0)?;
        let mut copy = connection.create_region((SAMPLE * SAMPLE * 4) as usize)?;
        if hidden {
            connection.capture_layer(layer, 0, 0, &mut copy, &image)?;
        } else {
            connection.capture_output(0, 0, 0, &mut copy, &image)?;
        }
        let same =
            copy.pixels_mut().iter().zip(region.pixels_mut()).all(|(a, b)| *a & 0xff_ffff == *b & 0xff_ffff);
        connection.destroy_region(copy)?;
        match same {
            true => Ok(()),
            false => Err(TaskError::Expected("what is drawn with blitd does not come on the screen".into())),
        }
    }

    fn frames(&mut self) -> Result<u64, Error> {
        Ok(self.connection.outputs()?.first().map_or(0, |output| output.frames.get()))
    }

    fn obey(&mut self, command: &Command) -> Result<Answer, TaskError> {
        let image = ImageView::packed(command.width, command.height, Format::Xrgb8888);
        let frames = self.frames()?;
        let begun = Instant::now();
        let times = self.measure(command, image)?;
        let duration = nanoseconds(begun.elapsed());
        let frames = self.frames()? - frames;
        // The last frame is composed before somebody else's turn comes.
        let _: Shown = self.connection.sync(0)?;
        Ok(Answer { frames, duration, times })
    }

    fn measure(&mut self, command: &Command, image: ImageView) -> Result<Vec<u64>, TaskError> {
        let Self { connection, layer, region } = self;
        let draw = Draw::new(image);
        match command.scene {
            Scene::Draw => timed(command.amount, || {
                connection.draw(layer, region, &draw)?;
                Ok(None)
            }),
            Scene::Carried => {
                let pixels = region.bytes();
                timed(command.amount, || {
                    connection.draw_pixels(layer, pixels, &draw)?;
                    Ok(None)
                })
            }
            Scene::Service => timed(command.amount, || {
                let Receipt { started, finished, .. } = connection.draw(layer, region, &draw)?;
                Ok(Some(finished - started))
            }),
            Scene::Over
            | Scene::Convert
            | Scene::Bilinear
            | Scene::Compose
            | Scene::PassOfCopies
            | Scene::PassOfBlends
            | Scene::Passes
            | Scene::Copy
            | Scene::Stream
            | Scene::Store
            | Scene::CopyOne
            | Scene::StreamOne => Err(TaskError::Expected("blitd's client copies nothing".into())),
            Scene::Batch => {
                let entries: Vec<_> =
                    (0..BATCH).map(|index| BatchEntry::Draw(layer, place(image, index))).collect();
                timed(command.amount, || {
                    connection.batch(&mut *region, &entries)?;
                    Ok(None)
                })
            }
            Scene::Pipeline => {
                let draws: Vec<_> = (0..BATCH).map(|index| (&*layer, place(image, index))).collect();
                // Lending moves a region, so it is one of its own.
                let bytes = BATCH as usize * image.stride as usize * image.height as usize;
                let mut home = Some(connection.create_region(bytes)?);
                let times = timed(command.amount, || {
                    let Some(region) = home.take() else { return Ok(None) };
                    let lent = connection.lend_draws(region, draws.iter().copied()).map_err(Error::from)?;
                    let (region, receipts) = lent.wait(connection).map_err(Error::from)?;
                    home = Some(region);
                    receipts.into_iter().collect::<Result<Vec<_>, _>>()?;
                    Ok(None)
                });
                if let Some(region) = home {
                    connection.destroy_region(region)?;
                }
                times
            }
            Scene::Probe => {
                let mut random = Random(1);
                (0..command.amount)
                    .map(|_| {
                        sleep(random.pause());
                        let before = Instant::now();
                        connection.draw(layer, region, &draw)?;
                        Ok(nanoseconds(before.elapsed()))
                    })
                    .collect()
            }
            Scene::Redraw => (0..command.amount)
                .map(|index| {
                    let before = Instant::now();
                    let colour = (index as u32).wrapping_mul(0x0001_0203);
                    for (pixel, at) in region.pixels_mut().iter_mut().zip(0_u32..) {
                        *pixel = colour.wrapping_add(at);
                    }
                    connection.draw_and_sync(layer, region, &draw, 0)?;
                    Ok(nanoseconds(before.elapsed()))
                })
                .collect(),
            Scene::Flood => {
                connection.draw(layer, region, &draw)?;
                say("flooding")?;
                let mut times = Vec::new();
                while !is_told()? {
                    let before = Instant::now();
                    connection.draw(layer, region, &draw)?;
                    times.push(nanoseconds(before.elapsed()));
                }
                Ok(times)
            }
        }
    }
}

/// Image number `index` of the memory, to place number `index` of a grid.
pub(super) fn place(image: ImageView, index: u32) -> Draw {
    let offset = u64::from(index) * u64::from(image.width) * u64::from(image.height) * 4;
    let (column, row) = (index % 10 * image.width, index / 10 * image.height);
    Draw::new(ImageView { offset, ..image }).at(column as i32, row as i32)
}

/// Whether there is something to read, or nobody who writes.
fn is_told() -> Result<bool, TaskError> {
    let input = stdin();
    let mut input = [PollFd::from_borrowed_fd(input.as_fd(), PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(poll(&mut input, Some(&now)).map_err(|errno| lost(&errno.into()))? > 0)
}

/// Pauses of any length, the same in each run and in peer.c.
struct Random(u32);

impl Random {
    fn pause(&mut self) -> Duration {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Duration::from_nanos((u64::from(self.0) * PAUSE) >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_measured_until_the_time_is_over_and_once_at_least() {
        let mut steps = 0;
        let times = timed(0, || {
            steps += 1;
            Ok(Some(7))
        });
        assert_eq!((times.ok(), steps), (Some(vec![7]), 1));
    }

    #[test]
    fn pauses_differ_and_have_a_limit() {
        let mut random = Random(1);
        let pauses: Vec<_> = (0..1000).map(|_| random.pause()).collect();
        assert!(pauses.iter().all(|pause| *pause < Duration::from_nanos(PAUSE)));
        let mean = pauses.iter().sum::<Duration>() / 1000;
        assert!(mean > Duration::from_nanos(PAUSE * 2 / 5) && mean < Duration::from_nanos(PAUSE * 3 / 5));
    }

    #[test]
    fn the_images_of_a_batch_have_a_place_each() {
        let image = ImageView::packed(64, 32, Format::Xrgb8888);
        let expected = Draw::new(ImageView { offset: 13 * 64 * 32 * 4, ..image }).at(3 * 64, 32);
        assert_eq!(format!("{:?}", place(image, 13)), format!("{expected:?}"));
    }
}

//! Shows the pictures of a folder, one after the other.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use blitd_client::{Connection, Draw, Format, ImageView, LayerChange, LayerOptions};
use blitd_demos::arguments::{self, Size};
use blitd_demos::ending::Ending;
use blitd_demos::fit::Fit;
use blitd_demos::picture::{Picture, Pixels};
use blitd_demos::program::{self, Error};
use blitd_demos::screen;
use clap::Parser;

const NAME: &str = "slideshow";

/// How long to wait for a picture that is being read before looking whether to end.
const PATIENCE: Duration = Duration::from_millis(100);

/// Shows all PNG and JPEG files of a folder in the order of their names
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The folder
    folder: PathBuf,
    /// How long each picture is shown
    #[arg(long, value_name = "N", default_value = "5", value_parser = arguments::seconds)]
    seconds: Duration,
    /// How a picture fits the output
    #[arg(long, value_enum, default_value_t)]
    fit: Fit,
    /// The output, by its id; 0 is the first
    #[arg(long, default_value_t)]
    output: u32,
    /// Fills what a picture leaves free
    #[arg(long, value_name = "RRGGBB", default_value = "000000", value_parser = arguments::colour)]
    background: u32,
    /// Ends after so many rounds [default: on SIGINT or SIGTERM]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rounds: Option<u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    program::run(NAME, || slideshow(&arguments))
}

fn slideshow(arguments: &Arguments) -> Result<(), Error> {
    let files = pictures_in(&arguments.folder)?;
    let mut connection = Connection::open(NAME)?;
    let ending = Ending::after(None)?;
    let Some(output) = screen::output(&mut connection, arguments.output, &ending)? else { return Ok(()) };
    let size = screen::size_of(&output);
    let options = LayerOptions::new(size.width, size.height).output(arguments.output).named(NAME).hidden();
    let layer = connection.create_layer(&options)?;
    let mut region = connection.create_region(size.pixels() * 4)?;
    let draw = Draw::new(ImageView::packed(size.width, size.height, Format::Xrgb8888));
    let slides = load_ahead(files, arguments, size)?;
    let mut next = Instant::now();
    let mut first = true;
    while ending.wait(&mut connection, Some(next))? {
        let Some(slide) = next_slide(&slides, &ending) else { break };
        region.pixels_mut().copy_from_slice(&slide?.words);
        connection.draw(&layer, &mut region, &draw)?;
        if std::mem::take(&mut first) {
            connection.configure_layer(&layer, &LayerChange::default().visible(true))?;
        }
        next = Instant::now() + arguments.seconds;
    }
    Ok(())
}

/// What arrives on the channel next; nothing at its end, and at the program's.
fn next_slide(slides: &Receiver<Result<Pixels, Error>>, ending: &Ending) -> Option<Result<Pixels, Error>> {
    while !ending.is_due() {
        match slides.recv_timeout(PATIENCE) {
            Ok(slide) => return Some(slide),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
    None
}

/// The files of a folder whose names say that they are PNG or JPEG, in the order of their names.
fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Folder { path: folder.into(), source };
    let entries: Vec<_> = std::fs::read_dir(folder).and_then(Iterator::collect).map_err(failed)?;
    let is_picture = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        ["png", "jpg", "jpeg"].iter().any(|known| ending.eq_ignore_ascii_case(known))
    };
    let mut files: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).filter(is_picture).collect();
    files.sort();
    if files.is_empty() {
        return Err(Error::NoPictures { path: folder.into() });
    }
    Ok(files)
}

/// Reads the pictures on a thread of its own, always one ahead of what is shown.
fn load_ahead(
    files: Vec<PathBuf>,
    arguments: &Arguments,
    size: Size,
) -> Result<Receiver<Result<Pixels, Error>>, Error> {
    let (sender, receiver) = sync_channel(0);
    let &Arguments { fit, background, rounds, .. } = arguments;
    let folder = arguments.folder.clone();
    let fitted = move |file: &Path| Ok(Picture::load(file)?.on_background(fit, size, background));
    let rounds = rounds.unwrap_or(u64::MAX);
    let work = move || load(&files, rounds, &sender, fitted, || Error::NoPictures { path: folder.clone() });
    std::thread::Builder::new().name("pictures".into()).spawn(work).map_err(Error::Thread)?;
    Ok(receiver)
}

/// Sends round after round, until nobody receives; a file that cannot be shown is told of and left out.
fn load(
    files: &[PathBuf],
    rounds: u64,
    sender: &SyncSender<Result<Pixels, Error>>,
    fitted: impl Fn(&Path) -> Result<Pixels, Error>,
    none_left: impl Fn() -> Error,
) {
    for _ in 0..rounds {
        let mut sent = 0;
        for file in files {
            match fitted(file).map(|pixels| sender.send(Ok(pixels))) {
                Ok(Ok(())) => sent += 1,
                Ok(Err(_)) => return,
                Err(error) => program::complain(NAME, &error),
            }
        }
        if sent == 0 {
            // Who has hung up needs no error either.
            let _ = sender.send(Err(none_left()));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blitd_demos::picture::PictureError;

    fn pixels() -> Pixels {
        Pixels { size: Size { width: 1, height: 1 }, opaque: true, words: vec![0] }
    }

    /// What arrives of two rounds of three files, of which those that `is_broken` names cannot be read.
    fn sent(is_broken: fn(&Path) -> bool) -> Vec<Result<Pixels, Error>> {
        let (sender, receiver) = sync_channel(100);
        let files = ["a.png", "b.png", "c.png"].map(PathBuf::from);
        let broken = |path: &Path| Error::Picture(PictureError::Empty { path: path.into() });
        let fitted = |path: &Path| if is_broken(path) { Err(broken(path)) } else { Ok(pixels()) };
        load(&files, 2, &sender, fitted, || Error::NoPictures { path: "folder".into() });
        drop(sender);
        receiver.iter().collect()
    }

    #[test]
    fn broken_files_are_left_out() {
        let all = sent(|path| path == Path::new("b.png"));
        assert_eq!(all.len(), 4);
        assert!(all.iter().all(Result::is_ok));
    }

    #[test]
    fn nothing_but_broken_files_is_an_error() {
        let all = sent(|_| true);
        assert!(matches!(all[..], [Err(Error::NoPictures { .. })]));
    }

    #[test]
    fn a_folder_that_is_absent_is_an_error() {
        assert!(matches!(pictures_in(Path::new("/absent/folder")), Err(Error::Folder { .. })));
    }
}

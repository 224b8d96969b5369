//! The driver is told what has changed, and copies just that: cirrus keeps a framebuffer in the machine's memory and
//! copies it to the card's, where it can be spoiled behind the driver's back. What is not copied stays spoiled.

use std::fs;
use std::process::Command;

use blitd_client::{Connection, Draw, Format};

use super::glass::Part;
use super::guest::Outside;
use super::scene::{Screen, screens};
use crate::tools::TaskError;

/// The part that changes: 20,000 pixels.
const PART: Part = Part { x: 300, y: 200, width: 200, height: 100 };

/// How many pixels are spoiled at once: as many as fill whole words.
const SPOILED: usize = 4;

/// The longest row that the card takes, in bytes (cirrus.c of the kernel, CIRRUS_MAX_PITCH). The driver leaves away the
/// fourth byte of the pixels of longer ones.
const MOST_PITCH: usize = 0x1ff << 3;

/// Changes a part, looks for what has changed on the glass, and for what has been copied there.
pub(super) fn play(connection: &mut Connection, outside: &mut Outside) -> Result<(), TaskError> {
    let [mut screen] = screens(connection)?;
    let image = screen.image(Format::Xrgb8888);
    let cover = screen.cover(connection)?;
    let (x, y) = (PART.x as u32, PART.y as u32);
    let part = Draw::new(image).part(x, y, PART.width as u32, PART.height as u32).at(x as i32, y as i32);
    for round in 0..2 {
        // The first of these are the two buffers' first frames, which are whole.
        screen.draw_noise(connection, &cover, round)?;
        screen.look(connection, outside, &[])?;
    }
    for round in 2..4 {
        screen.noise(round);
        connection.draw(&cover, &mut screen.brush, &part)?;
        screen.look(connection, outside, &[])?;
        outside.changed(0, PART)?;
    }
    let row = |x, y| Part { x, y, width: SPOILED, height: 1 };
    let (above, inside, beside) = (row(400, PART.y - 1), row(400, 250), row(PART.x + PART.width, 250));
    for place in [above, inside, beside] {
        spoil(&screen, place)?;
    }
    screen.look(connection, outside, &[above, inside, beside])?;
    screen.noise(4);
    connection.draw(&cover, &mut screen.brush, &part)?;
    screen.look(connection, outside, &[above, beside])?;
    screen.draw_noise(connection, &cover, 5)?;
    screen.look(connection, outside, &[])
}

/// Inverts pixels in the card's memory, which begins with the picture.
fn spoil(screen: &Screen, place: Part) -> Result<(), TaskError> {
    let width = screen.width as usize;
    let bytes = if width * 4 > MOST_PITCH { 3 } else { 4 };
    let start = memory()? + ((place.y * width + place.x) * bytes) as u64;
    for address in (start..).step_by(4).take(SPOILED * bytes / 4) {
        let value = word(&[format!("{address:#x}"), "32".into()])?;
        let value = u32::from_str_radix(value.trim().trim_start_matches("0x"), 16)
            .map_err(|error| TaskError::Expected(format!("the card's memory holds {value:?}: {error}")))?;
        word(&[format!("{address:#x}"), "32".into(), format!("{:#x}", !value)])?;
    }
    Ok(())
}

/// Where the card's memory is: the start of its first resource, the first number of this file (sysfs-pci.rst of the
/// kernel).
fn memory() -> Result<u64, TaskError> {
    let path = "/sys/class/drm/card0/device/resource";
    let text = fs::read_to_string(path).map_err(|source| TaskError::File { path: path.into(), source })?;
    let first = text.split_whitespace().next().unwrap_or_default();
    u64::from_str_radix(first.trim_start_matches("0x"), 16)
        .map_err(|error| TaskError::Expected(format!("{path}: {error}")))
}

/// Reads or writes a word of physical memory.
fn word(arguments: &[String]) -> Result<String, TaskError> {
    let what = "busybox devmem".to_owned();
    let output = Command::new("/bin/busybox").arg("devmem").args(arguments).output();
    match output {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => Err(TaskError::Failed { what, status: output.status }),
        Err(source) => Err(TaskError::Start { what, source }),
    }
}

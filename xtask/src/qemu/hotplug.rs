//! Screens come, change their size and go while the daemon runs: layers outlive it, and the picture is right after. The
//! daemon is started with no screen plugged in.

use blitd_client::{Connection, Layer};

use super::guest::Outside;
use super::scene::Screen;
use crate::tools::TaskError;

/// Sizes of screens, in pixels: the first head's, and those that the second has in turn.
const FIRST: (u16, u16) = (1280, 800);
const SECOND: (u16, u16) = (800, 600);
const LARGER: (u16, u16) = (1024, 768);
const NONE: (u16, u16) = (0, 0);

/// Plugs in, changes sizes and unplugs.
pub(super) fn play(connection: &mut Connection, outside: &mut Outside) -> Result<(), TaskError> {
    wait_for(connection, &[])?;
    outside.plug(0, FIRST)?;
    let [mut first] = outputs(connection, [FIRST])?;
    let _cover = cover(connection, &mut first, 0)?;
    first.look(connection, outside, &[])?;

    outside.plug(1, SECOND)?;
    let [mut first, mut second] = outputs(connection, [FIRST, SECOND])?;
    let layer = cover(connection, &mut second, 1)?;
    second.look(connection, outside, &[])?;
    first.look(connection, outside, &[])?;

    // The layer is as large as the screen was, and the rest is background.
    outside.plug(1, LARGER)?;
    let [mut first, mut larger] = outputs(connection, [FIRST, LARGER])?;
    larger.look(connection, outside, &[])?;
    larger.begins_with(&mut second)?;
    second.draw_noise(connection, &layer, 2)?;
    larger.look(connection, outside, &[])?;
    larger.begins_with(&mut second)?;
    first.look(connection, outside, &[])?;

    // What is drawn meanwhile is there when the screen is.
    outside.plug(1, NONE)?;
    let [mut first] = outputs(connection, [FIRST])?;
    first.look(connection, outside, &[])?;
    second.draw_noise(connection, &layer, 3)?;
    outside.plug(1, SECOND)?;
    let [mut first, mut again] = outputs(connection, [FIRST, SECOND])?;
    again.look(connection, outside, &[])?;
    again.begins_with(&mut second)?;
    first.look(connection, outside, &[])?;

    // The last screen goes too, and one comes back.
    outside.plug(1, NONE)?;
    outside.plug(0, NONE)?;
    wait_for(connection, &[])?;
    outside.plug(0, FIRST)?;
    let [mut back] = outputs(connection, [FIRST])?;
    back.look(connection, outside, &[])?;
    first.noise(0);
    back.begins_with(&mut first)
}

/// A layer that covers a screen, and is drawn.
fn cover(connection: &mut Connection, screen: &mut Screen, round: u32) -> Result<Layer, TaskError> {
    let layer = screen.cover(connection)?;
    screen.draw_noise(connection, &layer, round)?;
    Ok(layer)
}

/// Waits until there are screens of these sizes and no others. A pulse tells when it is worth asking again.
fn wait_for(connection: &mut Connection, sizes: &[(u16, u16)]) -> Result<(), TaskError> {
    loop {
        let records = connection.outputs()?;
        let found = records.iter().map(|record| (record.width.get(), record.height.get()));
        if found.eq(sizes.iter().map(|(width, height)| (u32::from(*width), u32::from(*height)))) {
            return Ok(());
        }
        connection.wait_for_pulses(None)?;
    }
}

/// The screens, when they have these sizes.
fn outputs<const COUNT: usize>(
    connection: &mut Connection,
    sizes: [(u16, u16); COUNT],
) -> Result<[Screen; COUNT], TaskError> {
    wait_for(connection, &sizes)?;
    super::scene::screens(connection)
}

//! Two screens show two pictures, and a change of one leaves the other as it is.

use blitd_client::{Connection, Draw, Format};

use super::guest::Outside;
use super::scene::screens;
use crate::tools::TaskError;

/// Draws on both screens, then a part of each, and looks at both each time.
pub(super) fn play(connection: &mut Connection, outside: &mut Outside) -> Result<(), TaskError> {
    let mut screens = screens::<2>(connection)?;
    let covers = [screens[0].cover(connection)?, screens[1].cover(connection)?];
    let draws = [(0, None), (1, None), (1, Some((77, 31))), (0, Some((600, 400))), (1, Some((0, 0)))];
    for (round, (head, part)) in (0..).zip(draws) {
        let screen = &mut screens[head];
        screen.noise(round);
        let draw = Draw::new(screen.image(Format::Xrgb8888));
        let draw = match part {
            Some((x, y)) => draw.part(x, y, 150, 120).at(x as i32, y as i32),
            None => draw,
        };
        connection.draw(&covers[head], &mut screen.brush, &draw)?;
        for screen in &mut screens {
            screen.look(connection, outside, &[])?;
        }
    }
    Ok(())
}

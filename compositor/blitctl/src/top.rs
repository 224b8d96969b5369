//! `blitctl top`: looks at the daemon again and again.

use std::io::{ErrorKind, Write};
use std::thread::sleep;
use std::time::Duration;

use blitd_client::Connection;
use rustix::termios::tcgetwinsize;

use crate::error::Error;
use crate::rates::{Sample, fit, show};

/// How often it looks, and for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long it waits between two looks, in seconds: 0.1 to 3600
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    interval: Duration,
    /// Ends after it has shown so many
    #[arg(long, value_name = "N")]
    count: Option<u32>,
}

fn interval(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "it takes 0.1 to 3600 seconds".into())
}

/// Shows what has happened in each interval, in place of what it showed before where that is a terminal, else below it.
pub(crate) fn run(connection: &mut Connection, options: &Options) -> Result<(), Error> {
    let mut output = std::io::stdout();
    let mut before = look(connection)?;
    let mut shown = 0;
    while options.count.is_none_or(|count| shown < count) {
        sleep(options.interval);
        let now = look(connection)?;
        let text = show(&before, &now);
        let text = match tcgetwinsize(&output) {
            // It is a terminal (TIOCGWINSZ, ioctl_tty(2)). Home, and what is below it away (ECMA-48: CUP, ED); at once, so that it does not flicker.
            Ok(size) => {
                format!("\x1b[H\x1b[J{}", fit(&text, size.ws_row.into(), size.ws_col.into()))
            }
            Err(_) => text + "\n",
        };
        match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
            // Who reads no further has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            result => result.map_err(Error::Print)?,
        }
        before = now;
        shown += 1;
    }
    Ok(())
}

fn look(connection: &mut Connection) -> Result<Sample, Error> {
    Ok(Sample {
        daemon: connection.daemon_statistics()?,
        outputs: connection.outputs()?,
        priorities: connection.priority_statistics()?,
        clients: connection.client_statistics()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_neither_none_nor_for_ever() {
        assert_eq!(interval("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(interval("3600"), Ok(Duration::from_secs(3600)));
        for wrong in ["0", "0.09", "3601", "-1", "NaN", "inf", "soon", ""] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
}

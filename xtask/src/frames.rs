//! Whether frames keep their vblanks in real time, on the virtual display driver: an animation at the rate of the screen,
//! and draws that are finished two milliseconds before a vblank. A machine that is held up by others loses frames whoever
//! makes them, so a program that nothing stands between it and the screen does the same in turns with blitd, and blitd
//! may lose no more than what that one's losses make plausible. docs/performance.md tells how to read it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::bench::{glass, guest};
use crate::setup::{WAYLAND, ensure};
use crate::tools::{Process, TaskError, folder};
use crate::vm;

/// How often each side is measured.
const ROUNDS: usize = 4;

/// How long before its vblank the bare loop begins a frame, in microseconds: whoever begins earlier goes without what is
/// drawn two milliseconds before.
const LEAD: u32 = 2000;

/// Where the bare loop loses more than one of so many, the machine is too busy for a comparison to tell anything.
const QUIET: u64 = 50;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Scene {
    /// Every frame comes with the vblank after that of the one before.
    Animation,
    /// What is drawn two milliseconds before a vblank comes with it.
    Deadline,
}

impl Scene {
    const ALL: [Self; 2] = [Self::Animation, Self::Deadline];

    /// The test of the daemon.
    const fn test(self) -> &'static str {
        match self {
            Self::Animation => "animation",
            Self::Deadline => "deadline",
        }
    }

    /// What the bare loop calls it, and how often it does it.
    const fn bare(self) -> [&'static str; 2] {
        match self {
            Self::Animation => ["animation", "600"],
            Self::Deadline => ["draws", "300"],
        }
    }
}

/// What the guest is to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    scene: Scene,
    /// The bare loop.
    bare: PathBuf,
    /// The test of the daemon, and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    test: Vec<String>,
}

/// Measures all scenes, each in a guest. That is without CRCs and writeback, whose work the driver does on the guest's
/// only CPU at each flip. It stays on one of this machine's CPUs, and goes before what else there is: to be moved in the
/// middle of a frame costs that frame.
pub(crate) fn run() -> Result<(), TaskError> {
    ensure(&WAYLAND)?;
    vm::prepare()?;
    let bare = glass::build_on_card(&folder("frames")?, "late")?;
    let program =
        std::env::current_exe().map_err(|source| TaskError::Start { what: "xtask".into(), source })?;
    let program = program.display();
    let measure = |scene: Scene| {
        let name = scene.test();
        // Without the right to go first, nice says so and starts it all the same.
        let first = "taskset --cpu-list 0 nice -n -10";
        let guest = format!("{first} {program} vm --timeout 1200 --kernel vkms.nomap=1 --");
        let runner = format!("{guest} {program} frames-guest {name} {}", bare.display());
        vm::test_by(&runner, name, &["--release"])
    };
    // One that fails is no reason not to measure the other.
    Scene::ALL.map(measure).into_iter().collect()
}

/// Measures one scene in the guest, blitd and the bare loop in turns.
pub(crate) fn run_in_guest(arguments: &Arguments) -> Result<(), TaskError> {
    println!("frames lost in each round: of blitd, of the bare loop");
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let round = Round { blitd: blitd(&arguments.test)?, bare: bare(arguments)? };
        println!("{} of {}, {} of {}", round.blitd.lost, round.blitd.of, round.bare.lost, round.bare.of);
        rounds.push(round);
    }
    println!("{}", judged(&rounds).map_err(TaskError::Expected)?);
    Ok(())
}

/// What the daemon's test says. It fails where a single frame is lost, which does not matter here; any other failure
/// does.
fn blitd(test: &[String]) -> Result<Lost, TaskError> {
    let [program, arguments @ ..] = test else {
        return Err(TaskError::Expected("no test is named".into()));
    };
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|source| TaskError::Start { what: program.clone(), source })?;
    let printed = String::from_utf8_lossy(&output.stdout);
    match Lost::of(&printed) {
        Some(lost) if output.status.success() == (lost.lost == 0) => Ok(lost),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(TaskError::Expected(format!("{program}: {}\n{printed}{said}", output.status)))
        }
    }
}

fn bare(arguments: &Arguments) -> Result<Lost, TaskError> {
    let mut command = Command::new(&arguments.bare);
    let (width, height) = guest::SIZE;
    command.arg(guest::card()?).args([width, height, LEAD].map(|number| number.to_string()));
    command.args(arguments.scene.bare()).stdout(Stdio::piped());
    let printed = Process::start(&mut command)?.finish()?;
    Lost::of(&printed).ok_or_else(|| TaskError::Expected(format!("the bare loop says `{printed}`")))
}

/// Frames that came with a later vblank than they should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lost {
    lost: u64,
    of: u64,
}

impl Lost {
    /// As both sides say it: `3 of 600 frames lost`.
    fn of(printed: &str) -> Option<Self> {
        let (before, _) = printed.split_once(" frames lost")?;
        let mut words = before.split_whitespace().rev();
        let (of, between, lost) = (words.next()?, words.next()?, words.next()?);
        Some(Self { lost: lost.parse().ok()?, of: of.parse().ok()? }).filter(|_| between == "of")
    }

    fn sum(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::default(), |sum, one| Self { lost: sum.lost + one.lost, of: sum.of + one.of })
    }
}

/// What both have lost one right after the other.
#[derive(Clone, Copy, Debug)]
struct Round {
    blitd: Lost,
    bare: Lost,
}

/// How many frames blitd may lose where the bare loop has lost so many. Were these hits of chance, another run of it would
/// lose more than that in one of some fifty cases, and where it has lost none, none is allowed.
fn allowed(bare: u64) -> u64 {
    bare + (9 * bare).isqrt()
}

/// What all rounds together show, or why that is not as it should be.
fn judged(rounds: &[Round]) -> Result<String, String> {
    let blitd = Lost::sum(rounds.iter().map(|round| round.blitd));
    let bare = Lost::sum(rounds.iter().map(|round| round.bare));
    let text = format!(
        "in all: blitd lost {} of {}, and the bare loop {} of {}, with which {} are plausible",
        blitd.lost,
        blitd.of,
        bare.lost,
        bare.of,
        allowed(bare.lost)
    );
    if bare.lost * QUIET > bare.of {
        return Err(format!(
            "{text}: the bare loop alone lost more than one of {QUIET}, so this machine does too much else to tell; try \
             again when it does nothing"
        ));
    }
    if blitd.lost > allowed(bare.lost) {
        return Err(format!("{text}: blitd loses frames that the machine does not"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(lost: &[(u64, u64)]) -> Vec<Round> {
        let of = |lost| Lost { lost, of: 600 };
        lost.iter().map(|(blitd, bare)| Round { blitd: of(*blitd), bare: of(*bare) }).collect()
    }

    #[test]
    fn what_both_sides_say_is_understood() {
        assert_eq!(Lost::of("3 of 600 frames lost\n"), Some(Lost { lost: 3, of: 600 }));
        let test = "running 1 test\ntest no_frame_is_lost ... 0 of 600 frames lost, before these: []\nok\n";
        assert_eq!(Lost::of(test), Some(Lost { lost: 0, of: 600 }));
        for nonsense in ["", " frames lost", "3 or 600 frames lost", "x of 600 frames lost", "3 of 600 lost"]
        {
            assert_eq!(Lost::of(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_machine_without_stalls_demands_every_frame() {
        assert!(judged(&rounds(&[(0, 0), (0, 0), (0, 0)])).is_ok());
        assert!(judged(&rounds(&[(0, 0), (1, 0), (0, 0)])).is_err());
    }

    #[test]
    fn what_the_machine_costs_is_not_blitds_fault() {
        // Four of the bare loop are two more or less by chance; blitd may have three times that more.
        assert!(judged(&rounds(&[(10, 1), (0, 3), (0, 0)])).is_ok());
        assert!(judged(&rounds(&[(10, 1), (1, 3), (0, 0)])).is_err());
        assert!(judged(&rounds(&[(0, 4), (0, 5), (0, 3)])).is_ok());
    }

    #[test]
    fn a_busy_machine_shows_nothing() {
        assert!(judged(&rounds(&[(12, 12)])).is_ok());
        assert!(judged(&rounds(&[(12, 13)])).is_err());
        assert!(judged(&rounds(&[(0, 13)])).is_err());
    }
}

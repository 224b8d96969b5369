//! blitd on a VT, in the guest: other VTs come to the front and go again, the keyboard is mute meanwhile, and at the
//! end all is as it was.

#[path = "fixture/card.rs"]
mod card;
#[path = "fixture/console.rs"]
mod console;
#[path = "vt/daemon.rs"]
mod daemon;
#[path = "fixture/glass.rs"]
mod glass;
#[path = "vt/keyboard.rs"]
mod keyboard;
#[path = "vt/rival.rs"]
mod rival;

use std::process::Command;
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use blitd_client::{Connection, Draw, Format, ImageView, Layer, LayerOptions, NotShown, Region, Shown};
use console::{Console, TAKEN, TEXT};
use daemon::{Daemon, command};
use glass::{crc_after, crc_of};
use keyboard::{ALT, C, CONTROL, D, ENTER, F7, F8, Keyboard, L, S};
use nix::sys::signal::Signal;
use rival::Rival;

const SIZE: (u32, u32) = (640, 480);
/// What the guest shows at first.
const FIRST: u16 = 1;
const OURS: u16 = 7;
const OTHER: u16 = 8;

/// There is one card, and one VT in front.
static MACHINE: Mutex<()> = Mutex::new(());

/// The machine as it is at first.
fn machine() -> MutexGuard<'static, ()> {
    let machine = MACHINE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    Console::open(FIRST).activate();
    machine
}

/// A client with a layer as large as the screen.
struct Painter {
    connection: Connection,
    layer: Layer,
    picture: Region,
    taken: Region,
}

const IMAGE: ImageView = ImageView::packed(SIZE.0, SIZE.1, Format::Xrgb8888);

impl Painter {
    fn new(mut connection: Connection, z: i32) -> Self {
        let layer = connection.create_layer(&LayerOptions::new(SIZE.0, SIZE.1).z(z)).unwrap();
        let bytes = (SIZE.0 * SIZE.1 * 4) as usize;
        let picture = connection.create_region(bytes).unwrap();
        let taken = connection.create_region(bytes).unwrap();
        Self { connection, layer, picture, taken }
    }

    /// Draws the picture of this number, in the upper part of the screen.
    fn draw(&mut self, number: u32, height: u32) {
        let pixels = &mut self.picture.pixels_mut()[..(SIZE.0 * height) as usize];
        for (index, pixel) in (0u32..).zip(pixels) {
            *pixel = index.wrapping_mul(0x9e37_79b9) ^ number.wrapping_mul(0x85eb_ca6b);
        }
        let part = Draw::new(IMAGE).part(0, 0, SIZE.0, height);
        self.connection.draw(&self.layer, &mut self.picture, &part).unwrap();
    }

    fn sync(&mut self) -> Shown {
        self.connection.sync(0).unwrap()
    }

    /// Waits until the output is on, and everything on the glass.
    fn sync_on(&mut self) -> Shown {
        // Only a deadlock takes that long.
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let shown = self.sync();
            match shown.reason {
                NotShown::Shown => return shown,
                NotShown::OutputOff => assert!(Instant::now() < deadline, "the output does not come on"),
                reason => panic!("{reason:?}"),
            }
        }
    }

    /// Takes what should be on the glass.
    fn capture(&mut self) -> &[u32] {
        self.connection.capture_output(0, 0, 0, &mut self.taken, &IMAGE).unwrap();
        self.taken.pixels_mut()
    }

    /// Sees that the glass shows what it should, while nobody draws.
    fn check_glass(&mut self) -> u32 {
        let shown = self.sync_on();
        let expected = crc_of(self.capture());
        assert_eq!(crc_after(shown.sequence), expected, "the glass shows something else");
        expected
    }
}

#[test]
fn two_hundred_times_another_vt_is_in_front() {
    let _machine = machine();
    let daemon = Daemon::start(OURS);
    let (ours, other) = (Console::open(OURS), Console::open(OTHER));
    ours.wait();
    let mut painter = Painter::new(daemon.connect("painter"), 0);
    let mut busy = Painter::new(daemon.connect("busy"), 1);
    let rival = Rival::open((800, 600));
    // Whoever has the gate has the next turn: a lock alone goes to whoever asks for it first, again and again.
    let (gate, still) = (Mutex::new(()), Mutex::new(()));
    let (sender, syncs) = channel();
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        // Draws and waits for the glass, again and again, whatever is in front, but not while the glass is looked at.
        scope.spawn({
            let (gate, still) = (&gate, &still);
            move || {
                for number in 0.. {
                    drop(gate.lock().unwrap());
                    let _still = still.lock().unwrap();
                    busy.draw(number, 20);
                    if sender.send(busy.sync().reason).is_err() {
                        break;
                    }
                }
            }
        });
        // They end with this, however that ends.
        let syncs = syncs;
        let wait_for = |reason| while syncs.recv().expect("somebody draws") != reason {};
        for round in 0..200 {
            other.activate();
            rival.take();
            rival.show();
            painter.draw(round, 40);
            assert_eq!(painter.sync().reason, NotShown::OutputOff);
            painter.capture();
            wait_for(NotShown::OutputOff);
            rival.give();
            ours.activate();
            wait_for(NotShown::Shown);
            let _gate = gate.lock().unwrap();
            let _still = still.lock().unwrap();
            seen.push(painter.check_glass());
        }
    });
    seen.dedup();
    assert_eq!(seen.len(), 200, "the pictures differ from each other");
    daemon.stop();
}

#[test]
fn what_is_typed_gets_nowhere_and_vts_are_switched_by_keys() {
    let _machine = machine();
    let mut keyboard = Keyboard::plug_in();
    let (mut ours, mut other) = (Console::open(OURS), Console::open(OTHER));
    // As a display server may have left it.
    ours.turn_keyboard_off();
    let daemon = Daemon::start(OURS);
    ours.wait();
    assert_eq!(ours.modes(), TAKEN);
    let type_much = |keyboard: &mut Keyboard| {
        keyboard.type_keys(&[L, S, ENTER]);
        keyboard.press(&[CONTROL, C]);
        keyboard.press(&[CONTROL, D]);
    };
    type_much(&mut keyboard);
    assert_eq!((ours.read(), ours.text()), (String::new(), String::new()));
    // The same keys arrive on another VT.
    keyboard.press(&[CONTROL, ALT, F8]);
    other.wait();
    keyboard.type_keys(&[L, S, ENTER]);
    assert_eq!((other.read(), other.text()), ("ls\n".into(), "ls".into()));
    keyboard.press(&[CONTROL, ALT, F7]);
    ours.wait();
    type_much(&mut keyboard);
    assert_eq!((ours.read(), ours.text()), (String::new(), String::new()));
    assert_eq!(ours.modes(), TAKEN);
    daemon.stop();
    // Nor does it arrive when blitd has gone.
    ours.activate();
    keyboard.type_keys(&[S, ENTER]);
    assert_eq!((ours.read(), ours.text()), ("s\n".into(), "s".into()));
}

#[test]
fn a_stop_gives_the_vt_back() {
    let _machine = machine();
    let (first, ours) = (Console::open(FIRST), Console::open(OURS));
    let daemon = Daemon::start(OURS);
    ours.wait();
    assert_eq!(ours.modes(), TAKEN);
    daemon.stop();
    assert_eq!(ours.modes(), TEXT);
    first.wait();
    // With another VT in front, that one stays there.
    let daemon = Daemon::start(OURS);
    ours.wait();
    let other = Console::open(OTHER);
    other.activate();
    daemon.stop();
    assert_eq!((ours.modes(), ours.in_front()), (TEXT, OTHER));
    ours.activate();
    first.activate();
}

#[test]
fn a_crash_gives_the_vt_back() {
    let _machine = machine();
    let (first, ours) = (Console::open(FIRST), Console::open(OURS));
    let daemon = Daemon::start(OURS);
    ours.wait();
    assert_eq!(daemon.children(), 1, "a keeper");
    let (status, log) = daemon.end_by(Signal::SIGKILL);
    assert!(!status.success());
    assert!(log.contains("blitd has ended early: /dev/tty7 shows text again"), "{log}");
    assert_eq!(ours.modes(), TEXT);
    first.wait();
    ours.activate();
}

#[test]
fn the_vt_that_blitd_is_started_on_is_taken_and_given_back() {
    let _machine = machine();
    let (first, ours) = (Console::open(FIRST), Console::open(OURS));
    // As openvt(1) and units do: the VT is the controlling terminal, which is hung up when blitd ends.
    let mut session = Command::new("setsid");
    session.arg("--ctty").arg(env!("CARGO_BIN_EXE_blitd")).args(command(&[]).get_args()).stdin(ours.file());
    let daemon = Daemon::run(session, "session");
    ours.wait();
    assert_eq!(ours.modes(), TAKEN);
    let (_, log) = daemon.end_by(Signal::SIGKILL);
    assert!(log.contains("ended early"), "{log}");
    first.wait();
    assert_eq!(Console::open(OURS).modes(), TEXT);
}

#[test]
fn what_will_be_started_again_leaves_the_vt_as_it_is() {
    let _machine = machine();
    let ours = Console::open(OURS);
    let as_systemd_does = || {
        let mut shell = Command::new("sh");
        shell.args(["-c", "SYSTEMD_EXEC_PID=$$ exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_blitd")]);
        shell.args(command(&["--tty", "/dev/tty7"]).get_args());
        Daemon::run(shell, "supervised")
    };
    let daemon = as_systemd_does();
    ours.wait();
    assert_eq!(daemon.children(), 0, "no keeper");
    daemon.end_by(Signal::SIGKILL);
    assert_eq!((ours.modes(), ours.in_front()), (TAKEN, OURS));
    as_systemd_does().stop();
    assert_eq!((ours.modes(), ours.in_front()), (TEXT, OURS));
}

#[test]
fn while_another_program_has_the_card_blitd_waits_for_it() {
    let _machine = machine();
    let daemon = Daemon::start(OURS);
    let (ours, other) = (Console::open(OURS), Console::open(OTHER));
    ours.wait();
    let mut painter = Painter::new(daemon.connect("painter"), 0);
    painter.draw(1, SIZE.1);
    painter.check_glass();
    other.activate();
    let rival = Rival::open((800, 600));
    rival.take();
    rival.show();
    ours.activate();
    painter.draw(2, SIZE.1);
    assert_eq!(painter.sync().reason, NotShown::OutputOff);
    let expected = crc_of(painter.capture());
    rival.give();
    // Nobody asks blitd for anything meanwhile: it looks by itself. Only one that does not takes so long.
    let deadline = Instant::now() + Duration::from_secs(60);
    while crc_after(0) != expected {
        assert!(Instant::now() < deadline, "the glass shows something else");
    }
    let (_, log) = daemon.end_by(Signal::SIGTERM);
    assert_eq!(log.matches("another master").count(), 1, "{log}");
}

#[test]
fn what_another_program_has_set_on_the_card_is_undone() {
    let _machine = machine();
    let daemon = Daemon::start(OURS);
    let (ours, other) = (Console::open(OURS), Console::open(OTHER));
    ours.wait();
    let mut painter = Painter::new(daemon.connect("painter"), 0);
    painter.draw(1, SIZE.1);
    let picture = painter.check_glass();
    other.activate();
    let rival = Rival::open((640, 480));
    rival.take();
    rival.show();
    rival.distort();
    rival.give();
    ours.activate();
    assert_eq!(painter.check_glass(), picture);
    daemon.stop();
}

#[test]
fn blitd_can_start_behind_another_vt() {
    let _machine = machine();
    let (first, ours) = (Console::open(FIRST), Console::open(OURS));
    first.lock_switching(true);
    let daemon = Daemon::start(OURS);
    let mut painter = Painter::new(daemon.connect("painter"), 0);
    painter.draw(1, SIZE.1);
    let (reason, in_front) = (painter.sync().reason, first.in_front());
    painter.capture();
    first.lock_switching(false);
    assert_eq!((reason, in_front), (NotShown::OutputOff, FIRST));
    ours.activate();
    painter.check_glass();
    daemon.stop();
}

#[test]
fn two_daemons_take_turns() {
    let _machine = machine();
    let (ours, other) = (Console::open(OURS), Console::open(OTHER));
    let daemon = Daemon::start(OURS);
    ours.wait();
    let mut painter = Painter::new(daemon.connect("painter"), 0);
    painter.draw(1, SIZE.1);
    let picture = painter.check_glass();
    // The kernel's signals mean that only from the kernel.
    daemon.signal(Signal::SIGUSR2);
    assert_eq!(painter.sync().reason, NotShown::Shown);
    let second = Daemon::start(OTHER);
    other.wait();
    assert_eq!(painter.sync().reason, NotShown::OutputOff);
    let mut second_painter = Painter::new(second.connect("second"), 0);
    second_painter.draw(2, SIZE.1);
    assert_ne!(second_painter.check_glass(), picture);
    ours.activate();
    assert_eq!(painter.check_glass(), picture);
    assert_eq!(second_painter.sync().reason, NotShown::OutputOff);
    other.activate();
    second_painter.check_glass();
    second.stop();
    ours.wait();
    assert_eq!(painter.check_glass(), picture);
    daemon.stop();
}

#[test]
fn what_the_kernel_has_asked_meanwhile_is_done_in_order() {
    let _machine = machine();
    let (first, ours, other) = (Console::open(FIRST), Console::open(OURS), Console::open(OTHER));
    let daemon = Daemon::start(OURS);
    ours.wait();
    let mut painter = Painter::new(daemon.connect("painter"), 0);
    other.activate();
    assert_eq!(painter.sync().reason, NotShown::OutputOff);
    // blitd's VT comes to the front and is to go again, and then to another than at first, before blitd hears of any of
    // that.
    daemon.signal(Signal::SIGSTOP);
    ours.activate();
    other.ask_for();
    first.ask_for();
    daemon.signal(Signal::SIGCONT);
    first.wait();
    assert_eq!(painter.sync().reason, NotShown::OutputOff);
    let rival = Rival::open((800, 600));
    rival.take();
    rival.show();
    rival.give();
    ours.activate();
    painter.draw(1, SIZE.1);
    painter.check_glass();
    daemon.stop();
}

#[test]
fn a_tty_that_is_hung_up_is_still_switched() {
    let _machine = machine();
    let daemon = Daemon::start(OURS);
    let (ours, other) = (Console::open(OURS), Console::open(OTHER));
    ours.wait();
    let mut painter = Painter::new(daemon.connect("painter"), 0);
    ours.hang_up();
    other.activate();
    assert_eq!(painter.sync().reason, NotShown::OutputOff);
    let ours = Console::open(OURS);
    ours.activate();
    painter.draw(1, SIZE.1);
    painter.check_glass();
    daemon.stop();
    assert_eq!(ours.modes(), TEXT);
}

#[test]
fn where_another_program_keeps_the_card_the_vt_is_left() {
    let _machine = machine();
    let (first, ours) = (Console::open(FIRST), Console::open(OURS));
    let rival = Rival::open((800, 600));
    rival.take();
    let output = command(&["--tty", "/dev/tty7"]).output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("another master") && log.lines().count() == 1, "{log}");
    first.wait();
    assert_eq!(ours.modes(), TEXT);
}

#[test]
fn without_a_tty_no_vt_is_touched() {
    let _machine = machine();
    let first = Console::open(FIRST);
    let daemon = Daemon::run(command(&["--tty", "none"]), "none");
    let mut painter = Painter::new(daemon.connect("painter"), 0);
    painter.draw(1, SIZE.1);
    painter.check_glass();
    assert_eq!((first.modes(), first.in_front(), daemon.children()), (TEXT, FIRST, 0));
    daemon.stop();
}

#[test]
fn in_the_background_the_vt_is_the_shells() {
    let _machine = machine();
    let ours = Console::open(OURS);
    // With job control (-m), as on a shell's prompt.
    let mut shell = Command::new("setsid");
    shell.args(["--ctty", "sh", "-mc", "\"$0\" \"$@\" & wait $!", env!("CARGO_BIN_EXE_blitd")]);
    shell.args(command(&["--tty", "/dev/tty7"]).get_args()).stdin(ours.file());
    let output = shell.output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("blitd: /dev/tty7 has another program in the foreground"), "{log}");
    assert_eq!(Console::open(OURS).modes(), TEXT);
}

#[test]
fn what_is_no_vt_is_refused_in_one_line() {
    let _machine = machine();
    for (tty, said) in [
        ("/dev/tty99", "/dev/tty99: No such file or directory"),
        ("/dev/null", "/dev/null is no VT: name one"),
        ("/dev/tty0", "/dev/tty0 is no VT: name one"),
        // What is no VT is not even opened: a serial line may wait for its other end, and a watchdog begins to watch.
        ("/etc", "/etc is no VT: name one"),
    ] {
        let output = command(&["--tty", tty]).output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(log.starts_with(&format!("blitd: {said}")), "{log}");
        assert!(log.contains("--tty none") && log.lines().count() == 1, "{log}");
    }
}

//! The units of compositor/system under a real systemd, in a guest that `cargo xtask vm --systemd` boots: its screen is
//! vkms, its VTs are real. The root of the guest is an overlay that is forgotten, so the tests install as an
//! administrator would, by docs/installation.md.

#[path = "fixture/console.rs"]
#[allow(dead_code, reason = "the fixture has more than this test takes")]
mod console;
#[path = "fixture/glass.rs"]
mod glass;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex, MutexGuard};

use blitd_client::protocol::transport::SYSTEM_SOCKET;
use blitd_client::{Connection, Draw, Format, ImageView, LayerOptions};
use console::Console;
use glass::{crc_after, crc_of};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Group, Pid, User, chown};

/// The number of the units' VT.
const VT: u16 = 7;

/// Whether the units' VT leaves the screen to somebody else, or shows text. It is opened anew each time, since systemd
/// hangs it up.
fn is_graphics() -> bool {
    Console::open(VT).modes().is_graphics
}

/// The number of the VT that is on the screen.
fn in_front() -> u16 {
    Console::open(VT).in_front()
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// Runs a program that has to succeed, and returns what it prints.
fn printed(program: &str, arguments: &[&str]) -> String {
    let output = run(program, arguments);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {out}{err}{}", journal());
    format!("{out}{err}")
}

fn journal() -> String {
    let output = run("journalctl", &["--no-pager", "--lines=40", "--output=short-monotonic"]);
    format!("\n{}", String::from_utf8_lossy(&output.stdout))
}

fn systemctl(arguments: &[&str]) -> String {
    printed("systemctl", arguments)
}

fn property(unit: &str, name: &str) -> String {
    systemctl(&["show", "--value", "--property", name, unit]).trim().into()
}

/// Asks systemd until a property of a unit has a value: every answer lets systemd go on with what it has to do.
fn wait_for(unit: &str, name: &str, value: &str) {
    for _ in 0..10_000 {
        if property(unit, name) == value {
            return;
        }
    }
    panic!("{unit} has not become {value}: {}", journal());
}

fn drop_in(text: &str) {
    let folder = Path::new("/run/systemd/system/blitd.service.d");
    match text {
        "" => fs::remove_dir_all(folder).unwrap(),
        _ => {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join("test.conf"), text).unwrap();
        }
    }
    systemctl(&["daemon-reload"]);
}

/// What docs/installation.md has in its block of this language.
fn in_page(language: &str) -> &'static str {
    let page = include_str!("../../docs/installation.md");
    let block = page.split(&format!("```{language}\n")).nth(1).unwrap();
    block.split("```").next().unwrap()
}

/// What docs/installation.md says, done once. The guard keeps the tests apart, which share all of this.
fn installed() -> MutexGuard<'static, ()> {
    static MACHINE: LazyLock<Mutex<()>> = LazyLock::new(|| {
        // What udev does for every card (50-udev-default.rules); there is none here.
        let video = Group::from_name("video").unwrap().unwrap();
        for card in fs::read_dir("/dev/dri").unwrap().map(|entry| entry.unwrap().path()) {
            chown(&card, None, Some(video.gid)).unwrap();
            fs::set_permissions(&card, Permissions::from_mode(0o660)).unwrap();
        }
        fs::copy(env!("CARGO_BIN_EXE_blitd"), "/usr/bin/blitd").unwrap();
        fs::write("/etc/blitd.toml", "[group.blitd]\ncapture_outputs = true\n").unwrap();
        let commands = format!("cd {}/..; {}", env!("CARGO_MANIFEST_DIR"), in_page("sh"));
        printed("sh", &["-ec", &commands]);
        Mutex::new(())
    });
    MACHINE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Draws as a client that knows nothing of units, and looks whether that is on the glass.
fn draw(seed: u32) {
    let mut connection = Connection::open_at(Path::new(SYSTEM_SOCKET), "units")
        .unwrap_or_else(|error| panic!("{error}: {}", journal()));
    let output = connection.outputs().unwrap()[0];
    let (width, height) = (output.width.get(), output.height.get());
    let image = ImageView::packed(width, height, Format::Xrgb8888);
    let mut region = connection.create_region((width * height * 4) as usize).unwrap();
    for (index, pixel) in (0u32..).zip(region.pixels_mut()) {
        *pixel = index.wrapping_mul(0x9e37_79b9) ^ seed;
    }
    let expected = crc_of(region.pixels_mut());
    let layer = connection.create_layer(&LayerOptions::new(width, height)).unwrap();
    connection.draw(&layer, &mut region, &Draw::new(image)).unwrap();
    let shown = connection.sync(0).unwrap();
    assert_eq!(crc_after(shown.sequence), expected, "the glass shows something else");
}

/// Ends the daemon by a signal, and waits until systemd knows. The socket lets a client wait for the next daemon, but
/// would let it still meet the one that dies.
fn crash(signal: Signal) {
    let main = property("blitd.service", "MainPID");
    while property("blitd.service", "MainPID") == main {
        // The first SIGSEGV that is no fault ends but the handler that Rust has for stacks that overflow.
        let _ = kill(Pid::from_raw(main.parse().unwrap()), signal);
    }
}

#[test]
fn the_first_draw_starts_it_and_a_stop_gives_the_vt_back() {
    let _machine = installed();
    assert_eq!(property("blitd.service", "ActiveState"), "inactive");
    assert!(!is_graphics());
    let before = in_front();
    draw(1);
    assert_eq!((is_graphics(), in_front()), (true, VT));
    // It is active only since it has said that it is ready.
    assert_eq!(property("blitd.service", "Type"), "notify");
    assert_eq!(property("blitd.service", "ActiveState"), "active");
    let user = User::from_name("blitd").unwrap().unwrap();
    let process = fs::metadata(format!("/proc/{}", property("blitd.service", "MainPID"))).unwrap();
    assert_eq!(process.uid(), user.uid.as_raw(), "it runs as its own user");

    systemctl(&["stop", "blitd.service"]);
    assert_eq!((is_graphics(), in_front()), (false, before));
    wait_for("blitd-text.service", "ActiveState", "inactive");
    assert!(!is_graphics());
    assert_eq!(property("blitd.service", "Result"), "success");
    assert_eq!(property("blitd.socket", "ActiveState"), "active");
    draw(2);
    systemctl(&["stop", "blitd.service"]);
}

#[test]
fn a_crash_is_mended_without_text_and_one_that_is_not_ends_in_text() {
    let _machine = installed();
    draw(3);
    assert!(is_graphics());
    for signal in [Signal::SIGSEGV, Signal::SIGKILL] {
        crash(signal);
        assert!(is_graphics(), "no text flashes up after a crash");
        draw(4);
        assert!(is_graphics(), "no text flashes up between two daemons");
    }
    assert_eq!(property("blitd.service", "NRestarts"), "2");

    // Stopped while systemd waits before it starts it again.
    crash(Signal::SIGKILL);
    systemctl(&["stop", "blitd.service"]);
    wait_for("blitd-text.service", "ActiveState", "inactive");
    assert!(!is_graphics());

    draw(5);
    drop_in(
        "[Unit]\nStartLimitBurst=3\n[Service]\nRestartSec=0\nExecStart=\nExecStart=/usr/bin/blitd --backend kms --card /dev/null\n",
    );
    crash(Signal::SIGKILL);
    wait_for("blitd.service", "ActiveState", "failed");
    wait_for("blitd-text.service", "ActiveState", "inactive");
    assert!(!is_graphics());
    drop_in("");
    // Clients are told that there is no daemon, rather than being kept waiting for one.
    assert_eq!(property("blitd.socket", "Result"), "service-start-limit-hit");
    systemctl(&["reset-failed", "blitd.service", "blitd.socket"]);
    systemctl(&["start", "blitd.socket"]);
    draw(6);
    systemctl(&["stop", "blitd.service"]);
}

#[test]
fn members_of_its_group_draw_and_nobody_else() {
    let _machine = installed();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/client.py");
    let group = Group::from_name("blitd").unwrap().unwrap();
    let client = |gid: u32| {
        let mut command = Command::new("python3");
        command.arg(&script).env_remove("BLITD_SOCKET").uid(65534).gid(gid).current_dir("/");
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    let (drawn, said) = client(group.gid.as_raw());
    assert!(drawn && said.starts_with("drawn and captured"), "{said}{}", journal());
    let (drawn, said) = client(65534);
    assert!(!drawn && said.starts_with("Permission denied"), "{said}");
    systemctl(&["stop", "blitd.service"]);
}

#[test]
fn the_units_are_right_and_let_the_daemon_do_little() {
    let _machine = installed();
    // Where kiosks have their client.
    let _ = symlink("/bin/true", "/usr/local/bin/show");
    fs::write("/etc/systemd/system/kiosk.service", in_page("ini")).unwrap();
    let units = ["blitd.service", "blitd.socket", "blitd-text.service", "kiosk.service"];
    let said = printed("systemd-analyze", &[&["verify"][..], &units].concat());
    let ours: Vec<&str> =
        said.lines().filter(|line| line.contains("blitd") || line.contains("kiosk")).collect();
    assert!(ours.is_empty(), "{said}");
    let said = printed("systemd-analyze", &["security", "--no-pager", "--threshold=15", "blitd.service"]);
    println!("{}", said.lines().last().unwrap_or_default());
}

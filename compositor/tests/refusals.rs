//! What blitd says where it cannot have a card: one line, which names what is wrong and what to do.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// There is one card that drives screens, and it has one master.
static CARD: Mutex<()> = Mutex::new(());

const BLITD: &str = env!("CARGO_BIN_EXE_blitd");

fn socket(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("blitd-refusals-{name}"))
}

/// Runs blitd, which must not run for long, and takes its only line.
fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let line = said.trim_end();
    line.strip_prefix("blitd: ").unwrap_or_else(|| panic!("{line}")).to_owned()
}

fn blitd(name: &str) -> Command {
    let mut command = Command::new(BLITD);
    command.args(["--backend", "kms", "--socket"]).arg(socket(name));
    command
}

/// Runs blitd until it listens, and takes the only warning until then.
fn warned(command: &mut Command) -> String {
    let mut daemon = command.stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(daemon.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut until_listening: Vec<String> = said.take_while(|line| !line.contains("listening on")).collect();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let warnings = until_listening.iter().filter(|line| line.contains("WARN")).count();
    assert_eq!(warnings, 1, "{until_listening:?}");
    until_listening.retain(|line| line.contains("WARN"));
    until_listening.remove(0)
}

/// The card with this driver.
fn card(driver: &str) -> PathBuf {
    let cards = fs::read_dir("/sys/class/drm").unwrap().flatten().map(|entry| entry.file_name());
    let cards = cards.filter_map(|name| name.into_string().ok());
    let is_it = |name: &String| {
        name.starts_with("card")
            && !name.contains('-')
            && fs::canonicalize(Path::new("/sys/class/drm").join(name).join("device"))
                .is_ok_and(|device| device.to_string_lossy().contains(driver))
    };
    Path::new("/dev/dri").join(cards.into_iter().find(is_it).unwrap())
}

#[test]
fn no_card() {
    let script = format!(
        "mount -t tmpfs none /dev/dri && exec {BLITD} --backend kms --socket {}",
        socket("none").display()
    );
    let line = refused(Command::new("unshare").args(["--mount", "sh", "-c", &script]));
    assert_eq!(
        line,
        "there is no DRM card in /dev/dri that drives screens: load its driver, or use --backend headless"
    );
    let line = refused(blitd("missing").args(["--card", "/dev/dri/card77"]));
    assert!(line.starts_with("there is no card /dev/dri/card77: name one of /dev/dri"), "{line}");
}

#[test]
fn a_card_that_drives_no_screens() {
    let vgem = card("vgem");
    let line = refused(blitd("vgem").arg("--card").arg(&vgem));
    assert_eq!(line, format!("{} drives no screens: choose another with --card", vgem.display()));
    let line = refused(blitd("null").args(["--card", "/dev/null"]));
    assert_eq!(line, "/dev/null drives no screens: choose another with --card");
}

#[test]
fn no_permission() {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", BLITD, "--backend", "kms", "--socket"]);
    let line = refused(command.arg(socket("nobody")));
    let expected = "/dev/dri/card";
    assert!(line.starts_with(expected), "{line}");
    assert!(line.contains("Permission denied"), "{line}");
    assert!(line.contains("run blitd as root or in the group that owns it"), "{line}");
}

#[test]
fn another_master() {
    let _card = CARD.lock().unwrap_or_else(PoisonError::into_inner);
    let vkms = card("vkms");
    // Who opens a card first is its master.
    let master: File = OpenOptions::new().read(true).write(true).open(&vkms).unwrap();
    let line = refused(&mut blitd("second"));
    let expected = format!(
        "{} has another master: stop the display server that holds it, or use --backend headless",
        vkms.display()
    );
    assert_eq!(line, expected);
    drop(master);
}

#[test]
fn no_such_mode() {
    let _card = CARD.lock().unwrap_or_else(PoisonError::into_inner);
    let warning = warned(blitd("mode").args(["--mode", "123x45"]));
    for part in ["Virtual-1 has no mode 123x45 and shows 1024x768@", "ask for one of ", "640x480@"] {
        assert!(warning.contains(part), "{warning}");
    }
}

#[test]
fn no_library_for_its_buffers() {
    let _card = CARD.lock().unwrap_or_else(PoisonError::into_inner);
    let configuration = socket("gbm.toml");
    fs::write(&configuration, "[kms]\nbuffers = \"gbm\"\n").unwrap();
    let script = format!(
        "for library in /usr/lib/*/libgbm.so.1; do mount --bind /dev/null $library || exit; done
        exec {BLITD} --backend kms --socket {} --config {}",
        socket("gbm").display(),
        configuration.display()
    );
    let warning = warned(Command::new("unshare").args(["--mount", "sh", "-c", &script]));
    let card = card("vkms").display().to_string();
    for part in [&card, "libgbm.so.1: ", "install Mesa's libgbm", "[kms] buffers = \"dumb\""] {
        assert!(warning.contains(part), "{warning}");
    }
}

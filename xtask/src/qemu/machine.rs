//! The machine: QEMU without acceleration, so that it is the same everywhere, whose root is this machine's.

use std::fs::{self, File};
use std::io::BufReader;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::channel::{Question, receive, send};
use super::glass::Picture;
use super::kernel::Boot;
use super::qmp::Qmp;
use super::rfb::Viewer;
use crate::tools::TaskError;

/// All that does not differ. The names of files are in the machine's folder.
const ARGUMENTS: &[&str] = &[
    "-nodefaults -no-user-config -no-reboot -M q35 -accel tcg,thread=multi -cpu max -smp 1 -m 768",
    "-display none -vga none -serial file:kernel -qmp stdio",
    "-fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
    "-device virtio-9p-pci,fsdev=root,mount_tag=root",
    "-fsdev local,id=run,path=.,security_model=none -device virtio-9p-pci,fsdev=run,mount_tag=run",
    "-chardev socket,id=channel,path=channel -serial chardev:channel",
];

/// What the kernel is told. The display's memory can be written behind its driver's back (`iomem`). On a busy host the
/// machine's timer is late, and need not be taken for broken (`no_timer_check`).
const KERNEL_ARGUMENTS: &str = "console=ttyS0 quiet panic=-1 nokaslr mitigations=off nopti random.trust_cpu=on iomem=relaxed no_timer_check";

/// The longest that the guest may say nothing: it hangs, or has lost its way.
const LONGEST_SILENCE: Duration = Duration::from_secs(120);

/// A machine's display.
#[derive(Clone, Copy, Debug)]
pub(super) struct Card {
    /// The device, as QEMU takes it; its id is `card`.
    pub(super) device: &'static str,
    /// The kernel's module that drives it.
    pub(super) driver: &'static str,
    /// Width and height in pixels of the screens at its heads; 0 and 0 is none plugged in. Where there are none here,
    /// the card has one head, and a screen is always plugged in.
    pub(super) screens: &'static [(u16, u16)],
}

/// A machine that runs.
#[derive(Debug)]
pub(super) struct Machine {
    // What is dropped first ends the machine.
    process: Killed,
    qmp: Qmp,
    channel: BufReader<UnixStream>,
    /// By these, screens are plugged in.
    viewers: Vec<Viewer>,
    folder: PathBuf,
}

/// A process that ends with this.
#[derive(Debug)]
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Machine {
    /// Boots a machine that runs a shell command as root and then ends. The folder, which must be empty, is the
    /// command's `/run/host`.
    pub(super) fn boot(boot: &Boot, card: Card, command: &str, folder: &Path) -> Result<Self, TaskError> {
        let failed = |name: &str| {
            let path = folder.join(name);
            move |source| TaskError::File { path, source }
        };
        fs::write(folder.join("command"), command).map_err(failed("command"))?;
        let errors = File::create(folder.join("qemu")).map_err(failed("qemu"))?;
        let listener = UnixListener::bind(folder.join("channel")).map_err(failed("channel"))?;
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(ARGUMENTS.iter().flat_map(|line| line.split_whitespace()));
        qemu.args(["-device", &format!("{},id=card", card.device)]);
        for head in 0..card.screens.len() {
            qemu.args(["-vnc", &format!("unix:viewer-{head},id=viewer-{head},display=card,head={head}")]);
        }
        qemu.arg("-kernel").arg(&boot.kernel).arg("-initrd").arg(&boot.first_files);
        qemu.args(["-append", &format!("{KERNEL_ARGUMENTS} blitd.driver={}", card.driver)]);
        let child = qemu
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(|source| TaskError::Start { what: "qemu-system-x86_64".into(), source })?;
        let mut process = Killed(child);
        let pipes = process.0.stdin.take().zip(process.0.stdout.take());
        let (input, output) =
            pipes.ok_or_else(|| TaskError::Expected("QEMU has no pipe to its control protocol".into()))?;
        let qmp = Qmp::negotiate(input, output).map_err(|error| {
            let said = fs::read_to_string(folder.join("qemu")).unwrap_or_default();
            TaskError::Expected(format!("{error}\n{said}"))
        })?;
        // Whoever speaks the protocol has connected its ports before.
        let (channel, _) = listener.accept().map_err(failed("channel"))?;
        channel.set_read_timeout(Some(LONGEST_SILENCE)).map_err(failed("channel"))?;
        let viewer = |head| Viewer::connect(&folder.join(format!("viewer-{head}"))).map_err(failed("viewer"));
        let viewers: Result<Vec<_>, _> = (0..card.screens.len()).map(viewer).collect();
        let channel = BufReader::new(channel);
        let mut machine = Self { process, qmp, channel, viewers: viewers?, folder: folder.into() };
        for (head, size) in card.screens.iter().enumerate() {
            // Of two equal sizes one after the other QEMU passes on the first only, and takes 0 and 0 for the one
            // before.
            machine.plug(head, (640, 480))?;
            machine.plug(head, *size)?;
        }
        Ok(machine)
    }

    /// Plugs a screen of this size in at a head, changes its size, or unplugs it where that is 0 and 0.
    pub(super) fn plug(&mut self, head: usize, (width, height): (u16, u16)) -> Result<(), TaskError> {
        let Some(viewer) = self.viewers.get_mut(head) else {
            return Err(TaskError::Expected(format!("nothing can be plugged in at head {head}")));
        };
        let path = self.folder.join(format!("viewer-{head}"));
        viewer.resize(width, height).map_err(|source| TaskError::File { path, source })
    }

    /// What the guest asks next.
    pub(super) fn question(&mut self) -> Result<Question, TaskError> {
        let question = receive(&mut self.channel).transpose();
        question.unwrap_or_else(|| {
            // The kernel's last words, if any, are there when the machine has ended.
            let _ = self.process.0.wait();
            Err(TaskError::Expected("the guest has ended early".into()))
        })
    }

    /// Tells the guest that what it has asked for is done.
    pub(super) fn answer(&mut self) -> Result<(), TaskError> {
        send(self.channel.get_ref(), &true)
    }

    /// What is on the glass of a head, 0 being the first.
    pub(super) fn screendump(&mut self, head: u32) -> Result<Picture, TaskError> {
        let name = format!("head-{head}.ppm");
        self.qmp.execute("screendump", &json!({ "filename": name, "device": "card", "head": head }))?;
        let path = self.folder.join(name);
        let bytes = fs::read(&path).map_err(|source| TaskError::File { path: path.clone(), source })?;
        Picture::parse(&bytes)
            .ok_or_else(|| TaskError::Expected(format!("{} is no PPM file", path.display())))
    }

    /// Presses keys together and lets them go, as in `["alt", "f2"]`: names are those of QEMU's QKeyCode.
    pub(super) fn send_keys(&mut self, keys: &[String]) -> Result<(), TaskError> {
        let keys: Vec<_> = keys.iter().map(|key| json!({ "type": "qcode", "data": key })).collect();
        self.qmp.execute("send-key", &json!({ "keys": keys })).map(drop)
    }
}

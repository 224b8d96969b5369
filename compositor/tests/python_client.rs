//! The client in docs/examples, written from docs/protocol.md alone, in another language.

#[path = "fixture/running.rs"]
#[allow(dead_code, reason = "the fixture has more than this test takes")]
mod running;

use std::path::Path;
use std::process::Command;

use blitd::policy::config::Config;
use running::Running;

#[test]
fn it_draws_and_finds_its_pixels_on_the_screen() {
    let running = Running::start(Config::of_nothing(running::own_user()));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/client.py");
    for arguments in [&[][..], &["--inline"]] {
        let output = Command::new("python3")
            .arg(&script)
            .args(arguments)
            .env("BLITD_SOCKET", running.socket())
            .output()
            .expect("python3 is needed for this test: cargo xtask test sees to that");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{out}{err}");
        assert!(out.starts_with("drawn and captured: 256x256 pixels equal, shown in frame "), "{out}");
    }
}

//! The files that docs/configuration.md shows are good; the first shows the defaults.

use std::path::Path;
use std::process::Command;

use blitd::policy::config::{Config, HeadlessConfig, Names};
use blitd::policy::outputs::OutputConfig;
use blitd::policy::{Credentials, Limits};
use blitd_protocol::transport::SYSTEM_SOCKET;

struct Fixed;

impl Names for Fixed {
    fn user(&self, name: &str) -> Option<u32> {
        [("signage", 1000), ("alarm", 1001)].into_iter().find(|user| user.0 == name).map(|user| user.1)
    }
    fn group(&self, name: &str) -> Option<u32> {
        [("video", 44), ("panels", 45)].into_iter().find(|group| group.0 == name).map(|group| group.1)
    }
}

#[test]
fn the_page_shows_the_defaults() {
    let page = include_str!("../../docs/configuration.md");
    let shown = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let config = Config::parse(shown, 7, &Fixed).unwrap();
    assert_eq!(config.headless, HeadlessConfig::default());
    let nothing = Config::of_nothing(7);
    assert_eq!((config.legacy_kms, config.buffers), (nothing.legacy_kms, nothing.buffers));
    assert_eq!(config.outputs.of("DP-1"), nothing.outputs.of("DP-1"));
    let OutputConfig { mode, place, .. } = config.outputs.of("HDMI-A-1");
    assert!(mode.is_some() && place.is_some());
    assert_eq!(config.outputs.of("HDMI-A-1"), OutputConfig { mode, place, ..nothing.outputs.of("HDMI-A-1") });
    assert_eq!((config.socket_mode, config.socket.as_deref()), (Some(0o660), Some(Path::new(SYSTEM_SOCKET))));
    let limits = |uid, gid| config.policy.limits(&Credentials { pid: 1, uid, gid });
    assert_eq!(limits(5, 5), Limits::default());
    assert!(limits(5, 44).capture_outputs);
    assert_eq!(limits(1000, 5).layers, 8);
}

#[test]
fn the_ceilings_of_the_page_are_what_it_says() {
    let page = include_str!("../../docs/configuration.md");
    let shown = page.split("```toml\n").nth(2).and_then(|rest| rest.split("```").next()).unwrap();
    let config = Config::parse(shown, 7, &Fixed).unwrap();
    let ceiling = |uid, gid| config.policy.limits(&Credentials { pid: 1, uid, gid }).priority.number();
    assert_eq!([ceiling(5, 5), ceiling(5, 45), ceiling(1001, 45), ceiling(1001, 5)], [10, 20, 63, 63]);
}

#[test]
fn a_wrong_file_is_one_clear_message() {
    let path = std::env::temp_dir().join(format!("blitd-config-{}.toml", std::process::id()));
    std::fs::write(&path, "[limits]\nlayrs = 5\n").unwrap();
    let daemon = env!("CARGO_BIN_EXE_blitd");
    let output = Command::new(daemon).arg("--check-config").arg("--config").arg(&path).output().unwrap();
    std::fs::remove_file(&path).unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && err.contains("layrs") && err.contains("line 2"), "{err}");
    let output = Command::new(daemon).args(["--check-config", "--config", "/nowhere.toml"]).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && err.contains("/nowhere.toml"), "{err}");
}

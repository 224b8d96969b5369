//! The rooms use only rooms above them, in the order of the crate's own page; calloop and unsafe code are only where
//! the design puts them.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the top down.
const ROOMS: [&str; 11] = [
    "memory",
    "policy",
    "scene",
    "queue",
    "frame",
    "work",
    "frame_clock",
    "display",
    "session",
    "client",
    "server",
];

/// The rooms that are pure as a whole.
const PURE_ROOMS: [&str; 5] = ["policy", "scene", "queue", "frame", "frame_clock"];

/// The pure parts of other rooms.
const PURE_FILES: [&str; 4] =
    ["display/kms/select.rs", "session/choice.rs", "session/state.rs", "server/histograms.rs"];

/// What is no room: what time it is.
const BESIDE: &str = "clock";

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(sources(&path)),
            false => files.push(path),
        }
    }
    files
}

/// Each source file of a folder, relative to it, with its text less the comments.
fn texts(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let code = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    };
    sources(&root).iter().map(|path| (path.strip_prefix(&root).unwrap().to_owned(), code(path))).collect()
}

/// The room that a path inside `src` belongs to, and its place in the order.
fn room(path: &Path) -> Option<(usize, &'static str)> {
    let name = path.components().next()?.as_os_str().to_str()?.trim_end_matches(".rs");
    ROOMS.iter().enumerate().find(|(_, room)| **room == name).map(|(place, room)| (place, *room))
}

#[test]
fn each_room_uses_only_rooms_above_it() {
    let mut uses = 0;
    for (path, text) in texts("src") {
        let Some((place, _)) = room(&path) else {
            let name = path.to_str().unwrap();
            assert!(["lib.rs", "main.rs", "clock.rs"].contains(&name), "{name} belongs to no room");
            continue;
        };
        for used in text.split("crate::").skip(1) {
            let name: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if name == BESIDE {
                continue;
            }
            let other = ROOMS.iter().position(|room| *room == name);
            let other = other.unwrap_or_else(|| panic!("{}: crate::{name} is no room", path.display()));
            assert!(other <= place, "{}: {name} is below {}", path.display(), ROOMS[place]);
            uses += usize::from(other != place);
        }
    }
    assert!(uses > 30, "the test sees the code: {uses} uses");
}

#[test]
fn what_is_pure_knows_no_system() {
    let mut files = 0;
    for (path, text) in texts("src") {
        let is_pure_file = PURE_FILES.iter().any(|pure| path == Path::new(pure));
        files += usize::from(is_pure_file);
        let is_pure = room(&path).is_some_and(|(_, room)| PURE_ROOMS.contains(&room)) || is_pure_file;
        if is_pure {
            for system in [
                "nix::",
                "rustix::",
                "memmap2",
                "std::os",
                "std::fs",
                "std::io",
                "std::time",
                "std::env",
                "std::thread",
            ] {
                assert!(!text.contains(system), "{}: {system}", path.display());
            }
        }
    }
    assert_eq!(files, PURE_FILES.len(), "the test sees the files");
}

#[test]
fn only_the_server_knows_the_event_loop() {
    let knowing: Vec<PathBuf> =
        texts("src").into_iter().filter(|(_, text)| text.contains("calloop")).map(|(path, _)| path).collect();
    assert_eq!(knowing, [Path::new("server/mod.rs")]);
}

#[test]
fn unsafe_code_is_where_the_design_puts_it() {
    let has_unsafe =
        |text: &str| text.contains("unsafe {") || text.contains("unsafe fn") || text.contains("unsafe impl");
    for (path, text) in texts("src") {
        // The ioctls of a VT, for which no library has safe calls; and the functions of GBM, which is loaded when
        // it is needed.
        let alone = [Path::new("session/vt.rs"), Path::new("display/kms/gbm.rs")];
        if has_unsafe(&text) && !alone.contains(&path.as_path()) {
            assert_eq!(room(&path).map(|(_, room)| room), Some("memory"), "{}", path.display());
        }
    }
    let client: Vec<PathBuf> = texts("../client-lib/src")
        .into_iter()
        .filter(|(_, text)| has_unsafe(text))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(client, [Path::new("memory.rs")]);
    for folder in ["../protocol/src", "../demos/src", "../xtask/src", "blitctl/src"] {
        for (path, text) in texts(folder) {
            assert!(!has_unsafe(&text), "{folder}/{}", path.display());
        }
    }
}

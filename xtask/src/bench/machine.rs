//! What the numbers were measured on, and whether it was quiet.

use std::fs::read_to_string;
use std::process::Command;

/// The load average above which somebody else is at work.
const QUIET: f64 = 0.3;

/// What the numbers depend on, a line each.
pub(super) fn description(cpus: usize) -> String {
    let processors = text("/proc/cpuinfo");
    let model = value(&processors, "model name").unwrap_or("unknown");
    let system = rustix::system::uname();
    let pages = |file: &str| {
        chosen(&text(&format!("/sys/kernel/mm/transparent_hugepage/{file}"))).unwrap_or("none").to_owned()
    };
    let version = Command::new("dpkg-query").args(["--show", "--showformat", "${Version}", "xvfb"]).output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    format!(
        "CPU: {cpus} of {model}\nkernel: {} {}\ntransparent_hugepage: enabled {}, shmem_enabled {}\nXvfb: {}",
        system.release().to_string_lossy(),
        system.machine().to_string_lossy(),
        pages("enabled"),
        pages("shmem_enabled"),
        version.unwrap_or_default(),
    )
}

/// What is to be said where the machine is not quiet.
pub(super) fn warning() -> Option<String> {
    let load = text("/proc/loadavg");
    let load: f64 = load.split_whitespace().next()?.parse().ok()?;
    (load > QUIET).then(|| {
        format!("the load average is {load}, above {QUIET}: something else is running, and numbers are rough")
    })
}

/// For how long whoever runs this machine has kept its CPUs from it, all together, in ticks of 10 ms; zero where it is no
/// virtual one (`Documentation/filesystems/proc.rst`, "steal").
pub(super) fn stolen() -> u64 {
    stolen_of(&text("/proc/stat"))
}

fn stolen_of(text: &str) -> u64 {
    text.lines().next().and_then(|line| line.split_whitespace().nth(8)?.parse().ok()).unwrap_or(0)
}

fn text(path: &str) -> String {
    read_to_string(path).unwrap_or_default()
}

/// The value of the first line `key : value`.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
}

/// The word in brackets, as sysfs marks what is chosen.
fn chosen(text: &str) -> Option<&str> {
    text.split_once('[')?.1.split_once(']').map(|(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        assert_eq!(stolen_of("cpu  9 8 7 6 5 4 3 21 1 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"), 21);
        assert_eq!(stolen_of(""), 0);
        assert_eq!(chosen("always [madvise] never\n"), Some("madvise"));
        assert_eq!(chosen(""), None);
        assert_eq!(value("processor\t: 0\nmodel name\t: A CPU: B\n", "model name"), Some("A CPU: B"));
        assert_eq!(value("processor\t: 0\n", "model name"), None);
    }
}

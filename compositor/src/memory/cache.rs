//! How large the processor's cache is, and what is too much for it.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// What the kernel tells of the caches of a processor (`Documentation/ABI/testing/sysfs-devices-system-cpu`).
const CACHES: &str = "/sys/devices/system/cpu/cpu0/cache";

/// Where the kernel does not tell, in bytes.
const USUAL: u64 = 8 * 1024 * 1024;

/// Which part of the largest cache a picture may take. Besides what is written, its source, the other storage of its
/// layer and the buffers of an output want to be there. Where copies of a source into two storages in turns were
/// measured, with 32 MiB of cache, stores past it won from a sixth of it on, by half as much again at a third.
const PART: u64 = 6;

/// What any largest cache has room for, in bytes: to know more takes reading a dozen files, which a daemon that has
/// just started does not do before its first small draw.
const SURELY: u64 = 64 * 1024;

static LARGEST: LazyLock<u64> = LazyLock::new(|| largest(Path::new(CACHES)).unwrap_or(USUAL));

/// Whether so many bytes, when they have been written, will not be found in the cache by who comes for them.
pub fn is_too_small_for(bytes: u64) -> bool {
    bytes > SURELY && bytes > *LARGEST / PART
}

/// The size in bytes of the largest cache of those that are described in a directory.
fn largest(caches: &Path) -> Option<u64> {
    let sizes = fs::read_dir(caches).ok()?.filter_map(|cache| {
        let size = fs::read_to_string(cache.ok()?.path().join("size")).ok()?;
        size.trim().strip_suffix('K')?.parse::<u64>().ok()
    });
    Some(sizes.max()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_cache_counts() {
        let directory = std::env::temp_dir().join(format!("blitd-caches-{}", std::process::id()));
        for (index, size) in [("index0", "32K\n"), ("index3", "8192K\n"), ("index2", "1024K\n")] {
            fs::create_dir_all(directory.join(index)).unwrap();
            fs::write(directory.join(index).join("size"), size).unwrap();
        }
        fs::write(directory.join("uevent"), "").unwrap();
        let size = largest(&directory);
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(size, Some(8 << 20));
        assert_eq!(largest(&directory), None);
    }
}

//! Nothing leaks, whatever clients do: descriptors, mappings and addresses of this process are counted, and what the
//! daemon says that it holds. One test, since it counts what belongs to the whole process.

mod fixture;
mod hostile;

use std::collections::BTreeSet;

use blitd_protocol::error::ErrorCode;
use blitd_protocol::request::{RegionCreate, Request};
use blitd_protocol::value::{Access, Memory};
use hostile::Stand;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Mappings of files in memory: regions that are shared, and pictures.
fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("/memfd:") || line.contains("/dev/shm")).count()
}

/// Bytes of addresses, for mappings without a file: those that lie side by side are one line in maps.
fn addresses() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').next().unwrap().parse::<usize>().unwrap() * 4096
}

/// Whether a count comes down to what it was; the helper thread may still have mappings to give back.
fn returns(count: impl Fn() -> usize, most: usize) -> bool {
    (0..1_000_000).any(|_| {
        std::thread::yield_now();
        count() <= most
    })
}

#[test]
fn nothing_leaks() {
    let outside = (descriptors(), mappings());
    let mut seen = BTreeSet::new();
    for scenario in hostile::all() {
        let name = scenario.name;
        let mut stand = Stand::new(scenario);
        stand.unharmed();
        let held = stand.held();
        stand.fixture.settle();
        assert!(returns(mappings, mappings()));
        let before = (descriptors(), mappings());
        (scenario.play)(&mut stand);
        stand.unharmed();
        assert_eq!(stand.held(), held, "{name}");
        stand.fixture.settle();
        assert_eq!(descriptors(), before.0, "{name}: descriptors leak");
        assert!(returns(mappings, before.1), "{name}: {} mappings were {}", mappings(), before.1);
        seen.append(&mut stand.seen);
        drop(stand);
        assert!(returns(descriptors, outside.0), "{name}: the daemon leaves descriptors behind");
        assert!(returns(mappings, outside.1), "{name}: the daemon leaves mappings behind");
    }

    let missing: Vec<ErrorCode> =
        ErrorCode::ALL.iter().copied().filter(|code| !seen.contains(&code.number())).collect();
    // The first two are the process's: exhaustion.rs has them. The last takes a real dmabuf: dmabuf.rs has it.
    let elsewhere = [ErrorCode::DescriptorsTruncated, ErrorCode::OutOfMemory, ErrorCode::FenceTimeout];
    assert_eq!(missing, elsewhere);

    held_memory_is_given_back();
}

fn held_memory_is_given_back() {
    const SIZE: u64 = 1 << 20;
    let mut fixture = fixture::Fixture::new(16, 16);
    let round = |fixture: &mut fixture::Fixture, region, destroys: bool| {
        let mut client = fixture.client("holds");
        let create = RegionCreate {
            region,
            memory: Memory::Held,
            access: Access::ReadWrite,
            size: SIZE - u64::from(region % 2),
        };
        fixture.done(&mut client, &Request::RegionCreate(create));
        if destroys {
            fixture.done(&mut client, &Request::RegionDestroy { region });
        }
    };
    for region in 1..10 {
        round(&mut fixture, region, region % 3 > 0);
    }
    fixture.rest();
    let before = addresses();
    for region in 1..400 {
        round(&mut fixture, region, region % 3 > 0);
    }
    fixture.rest();
    // 400 MiB were mapped; the allocator may have taken some more for itself.
    assert!(returns(addresses, before + (50 << 20)), "{before} bytes became {}", addresses());
}

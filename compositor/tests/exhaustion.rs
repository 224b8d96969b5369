//! A daemon that runs out of descriptors or of addresses. One test in a process of its own, whose limits it changes.

mod fixture;
mod hostile;

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use blitd_protocol::error::ErrorCode;
use blitd_protocol::image::Format;
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{Entry, RegionCreate, Request};
use blitd_protocol::value::{Access, Memory};
use fixture::{Shared, draw, fill, layer, packed};
use hostile::{Scenario, Stand, anything, encoded};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Runs with only so many numbers for descriptors left.
fn with_descriptors<T>(left: usize, run: impl FnOnce() -> T) -> T {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // The lowest numbers that are free are those that the kernel gives next.
    let mut next: Vec<OwnedFd> = (0..=left).map(|_| anything().into()).collect();
    let limit = next.pop().unwrap().as_raw_fd();
    drop(next);
    setrlimit(Resource::RLIMIT_NOFILE, limit.try_into().unwrap(), hard).unwrap();
    let result = run();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    result
}

/// Runs with only so many bytes of addresses left.
fn with_addresses<T>(left: u64, run: impl FnOnce() -> T) -> T {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
    setrlimit(Resource::RLIMIT_AS, pages * 4096 + left, hard).unwrap();
    let result = run();
    setrlimit(Resource::RLIMIT_AS, soft, hard).unwrap();
    result
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn limits_of_the_process() {
    let scenario = Scenario { name: "exhaustion", side: 64, config: "", play: |_| {} };
    let mut stand = Stand::new(&scenario);
    let held = stand.held();
    stand.fixture.settle();
    let before = descriptors();
    descriptors_are_truncated(&mut stand);
    no_picture_without_a_descriptor(&mut stand);
    no_memory(&mut stand);
    assert_eq!(stand.held(), held);
    stand.fixture.settle();
    assert_eq!(descriptors(), before);
    nobody_comes_in(&mut stand);
    assert_eq!(stand.held(), held);
}

fn descriptors_are_truncated(stand: &mut Stand) {
    let memory = Shared::sealed(4096);
    let create = RegionCreate { region: 1, memory: Memory::Memfd, access: Access::Read, size: 4096 };
    let create = encoded(&Request::RegionCreate(create), 2);
    // As many as are stated: of one nothing is left, of four some.
    for (sent, left) in [(1, 0), (4, 0), (4, 1), (4, 3), (253, 100)] {
        let mut raw = stand.greeted();
        let before = descriptors();
        let mut bytes = create.clone();
        bytes[6] = u8::try_from(sent).unwrap();
        raw.send(&bytes, vec![&memory.file; sent]);
        with_descriptors(left, || {
            stand.ended(&mut raw, 0, ErrorCode::DescriptorsTruncated, &format!("{sent} sent, {left} left"));
        });
        stand.unharmed();
        assert_eq!(descriptors(), before - 1, "those that came are closed, and so is the connection");
    }
    // Truncated is never taken for a connection that carries bytes only.
    let mut raw = stand.raw();
    raw.send(&hostile::hello(), [&memory.file]);
    with_descriptors(0, || {
        stand.ended(&mut raw, 0, ErrorCode::DescriptorsTruncated, "a hello");
        // Who needs none is served meanwhile.
        stand.unharmed();
    });
}

fn no_picture_without_a_descriptor(stand: &mut Stand) {
    let mut client = stand.fixture.client("pictures");
    let memory = Shared::sealed(512 * 512 * 4);
    stand.fixture.region(&mut client, 1, &memory);
    for id in [1, 2] {
        stand.fixture.layer(&mut client, layer(id, 0, 0, 512, 512));
    }
    stand.fixture.done(&mut client, &Request::Fill(fill(1, 0xff33_3333, 100, 100)));
    let large = Request::Draw(draw(1, packed(1, 512, 512, Format::Xrgb8888)));
    let batch = Request::Batch(vec![Entry::Fill(fill(1, 5, 5, 5)), Entry::Fill(fill(2, 5, 5, 5))]);
    with_descriptors(0, || {
        let create = Request::LayerCreate(layer(3, 0, 0, 8, 8));
        stand.refused(&mut client, &create, ErrorCode::OutOfMemory, "a layer");
        stand.refused(&mut client, &large, ErrorCode::OutOfMemory, "a draw that needs the spare storage");
        stand.refused(&mut client, &batch, ErrorCode::OutOfMemory, "a batch");
        stand.unharmed();
    });
    // One layer of a batch gets its spare storage, the other does not.
    stand.fixture.layer(&mut client, layer(3, 0, 0, 2048, 2048));
    let uneven = Request::Batch(vec![Entry::Fill(fill(1, 5, 5, 5)), Entry::Fill(fill(3, 5, 5, 5))]);
    with_addresses(8 << 20, || {
        stand.refused(&mut client, &uneven, ErrorCode::OutOfMemory, "a batch");
        stand.unharmed();
    });
    let picture = stand.picture(&mut client, 1, 512, 512);
    assert!(picture[0] == 0xff33_3333 && picture[100] == 0xff00_0000, "nothing of it landed");
    stand.fixture.done(&mut client, &batch);
    let picture = stand.picture(&mut client, 1, 512, 512);
    assert!(picture[0] == 0xff00_0005 && picture[5] == 0xff33_3333);
    stand.fixture.done(&mut client, &large);
    stand.unharmed();
}

fn no_memory(stand: &mut Stand) {
    let mut client = stand.fixture.client("holds");
    let shared = Shared::sealed(4096);
    let create = |region, size| {
        Request::RegionCreate(RegionCreate { region, memory: Memory::Held, access: Access::Read, size })
    };
    with_addresses(64 << 20, || {
        stand.refused(&mut client, &create(1, 512 << 20), ErrorCode::OutOfMemory, "held memory");
        let layer = Request::LayerCreate(layer(1, 0, 0, 8000, 8000));
        stand.refused(&mut client, &layer, ErrorCode::OutOfMemory, "a layer");
        stand.unharmed();
        let reply = stand.fixture.lend(&mut client, 2, &shared, 4096);
        assert!(matches!(reply, Reply::Done(_)), "what is small is still there: {reply:?}");
    });
    stand.fixture.done(&mut client, &create(1, 512 << 20));
    stand.unharmed();
}

/// Without a number left for it a connection is taken and closed; left alone it would wake the loop for ever.
fn nobody_comes_in(stand: &mut Stand) {
    let directory = std::env::temp_dir().join(format!("blitd-exhaustion-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let path = directory.join("socket");
    stand.fixture.daemon.listen(UnixListener::bind(&path).unwrap()).unwrap();
    let sockets: Vec<UnixStream> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
    with_descriptors(0, || {
        stand.fixture.vblank();
        stand.fixture.rest();
        stand.unharmed();
    });
    for mut socket in sockets {
        socket.set_nonblocking(true).unwrap();
        let end = std::io::Read::read(&mut socket, &mut [0; 16]);
        assert!(matches!(end, Ok(0)), "it is told at once: {end:?}");
    }
    let (link, serial) = blitd_client::Link::new(UnixStream::connect(&path).unwrap(), "in time").unwrap();
    let mut client = fixture::Client { link, priority: blitd_protocol::value::Priority::DEFAULT };
    assert!(matches!(stand.fixture.reply(&mut client, serial), Reply::Welcome(_)));
    std::fs::remove_dir_all(directory).unwrap();
}

//! Memory that is not what the client says, and memory that goes away.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

use blitd_protocol::error::ErrorCode;
use blitd_protocol::image::Format;
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{Capture, Entry, Pixels, RegionCreate, Request};
use blitd_protocol::value::{Access, CaptureSubject, Memory, Path, Priority};
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::{Scenario, Stand};
use crate::fixture::{Client, Random, Shared, draw, fill, layer, packed};

const SIDE: u32 = 512;
const BYTES: u64 = (SIDE * SIDE * 4) as u64;
const UNSEALED: &str = "[limits]\nunsealed_memory = true";

const fn scenario(name: &'static str, side: u32, config: &'static str, play: fn(&mut Stand)) -> Scenario {
    Scenario { name, side, config, play }
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario("memory_that_is_refused", 64, "", memory_that_is_refused),
    scenario("memory_that_is_refused_even_unsealed", 64, UNSEALED, memory_that_is_refused_even_unsealed),
    scenario("what_is_no_dmabuf", 64, UNSEALED, what_is_no_dmabuf),
    scenario("no_dmabufs_allowed", 64, "[limits]\ndmabufs = 0", no_dmabufs_allowed),
    scenario("pages_punched_out", 64, "", pages_punched_out),
    scenario("truncated_before_a_draw", 64, UNSEALED, truncated_before_a_draw),
    scenario("truncated_in_a_draw", SIDE, UNSEALED, truncated_in_a_draw),
    scenario("truncated_in_a_batch", SIDE, UNSEALED, truncated_in_a_batch),
    scenario("truncated_in_a_capture", SIDE, UNSEALED, truncated_in_a_capture),
    scenario("truncated_while_another_draws", SIDE, UNSEALED, truncated_while_another_draws),
];

fn memory(sealing: bool, size: u64, allocated: u64) -> OwnedFd {
    let flags = if sealing { MFdFlags::MFD_ALLOW_SEALING } else { MFdFlags::empty() };
    let descriptor = memfd_create(c"test", flags | MFdFlags::MFD_CLOEXEC).unwrap();
    nix::unistd::ftruncate(&descriptor, size as i64).unwrap();
    if allocated > 0 {
        fallocate(&descriptor, FallocateFlags::empty(), 0, allocated as i64).unwrap();
    }
    descriptor
}

fn seal(descriptor: OwnedFd, seals: SealFlag) -> File {
    fcntl(&descriptor, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    descriptor.into()
}

/// A file in a directory that is gone by its name.
fn unnamed(directory: &str) -> File {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::path::Path::new(directory).join(format!("blitd-test-{}-{number}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    fallocate(&file, FallocateFlags::empty(), 0, 4096).unwrap();
    file
}

/// The same file, opened in another way.
fn opened(file: &File, options: &mut std::fs::OpenOptions) -> File {
    options.open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap()
}

fn refused(stand: &mut Stand, size: u64, access: Access, file: &File, code: ErrorCode, what: &str) {
    refused_as(Memory::Memfd, stand, size, access, file, code, what);
}

fn refused_as(
    memory: Memory,
    stand: &mut Stand,
    size: u64,
    access: Access,
    file: &File,
    code: ErrorCode,
    what: &str,
) {
    let mut client = stand.fixture.client("memory");
    let create = RegionCreate { region: 1, memory, access, size };
    match stand.share(&mut client, create, file) {
        Reply::Refused(refusal) => assert_eq!(refusal.code, code, "{what}: {refusal}"),
        other => panic!("{what}: {other:?}"),
    }
    // The id is free, and the connection lives.
    let memory = Shared::sealed(4096);
    stand.fixture.region(&mut client, 1, &memory);
    stand.unharmed();
}

fn memory_that_is_refused(stand: &mut Stand) {
    use ErrorCode::{LimitReached, RegionHasHoles, RegionNotMappable, RegionNotSealed, RegionTooSmall};
    const SIZE: u64 = 3 * 4096;
    let shrink = SealFlag::F_SEAL_SHRINK;
    let other = SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    let read_write = Access::ReadWrite;
    let whole = seal(memory(true, SIZE, SIZE), shrink);
    for (code, file, what) in [
        (RegionNotSealed, File::from(memory(true, SIZE, SIZE)), "no seals"),
        (RegionNotSealed, File::from(memory(false, SIZE, SIZE)), "cannot be sealed"),
        (RegionNotSealed, seal(memory(true, SIZE, SIZE), other), "other seals"),
        (RegionNotSealed, unnamed("/dev/shm"), "POSIX shared memory"),
        (RegionHasHoles, seal(memory(true, SIZE, 0), shrink), "no pages"),
        (RegionHasHoles, seal(memory(true, SIZE, SIZE - 4096), shrink), "one page missing"),
        // Stated to be giant, and truly so, but without a page.
        (RegionHasHoles, seal(memory(true, 1 << 40, 4096), shrink), "a terabyte of holes"),
        (RegionTooSmall, seal(memory(true, 0, 0), shrink), "empty"),
    ] {
        for access in [Access::Read, read_write] {
            refused(stand, SIZE.min(4096), access, &file, code, what);
        }
    }
    for (code, size) in
        [(RegionTooSmall, 0), (RegionTooSmall, SIZE + 1), (RegionTooSmall, 1 << 29), (LimitReached, u64::MAX)]
    {
        refused(stand, size, read_write, &whole, code, &format!("{size} bytes stated"));
    }
    refused(stand, u64::MAX - 4095, read_write, &whole, LimitReached, "a size that overflows to 0");
    let written = seal(memory(true, SIZE, SIZE), shrink | SealFlag::F_SEAL_WRITE);
    refused(stand, SIZE, read_write, &written, RegionNotMappable, "sealed against writing");
    let future = seal(memory(true, SIZE, SIZE), shrink | SealFlag::F_SEAL_FUTURE_WRITE);
    refused(stand, SIZE, read_write, &future, RegionNotMappable, "sealed against writing from now on");
    let reading = opened(&whole, File::options().read(true));
    refused(stand, SIZE, read_write, &reading, RegionNotMappable, "open for reading only");
    let writing = opened(&whole, File::options().write(true));
    for access in [Access::Read, read_write] {
        refused(stand, SIZE, access, &writing, RegionNotMappable, "open for writing only");
        let path = nix::libc::O_PATH;
        let named = opened(&whole, File::options().read(true).custom_flags(path));
        refused(stand, SIZE, access, &named, RegionNotMappable, "open as a path only");
        no_memory(stand, access);
    }
}

/// What is no memory at all is refused whatever the configuration says.
fn no_memory(stand: &mut Stand, access: Access) {
    for (file, what) in nothing_of_memory() {
        refused(stand, 4096, access, &file, ErrorCode::RegionNotMappable, what);
    }
    // Huge pages are mapped and unmapped by other rules than these, and fault where the pool of them is empty.
    let flags = MFdFlags::MFD_HUGETLB | MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC;
    if let Ok(huge) = memfd_create(c"huge", flags) {
        nix::unistd::ftruncate(&huge, 2 << 20).unwrap();
        let huge = seal(huge, SealFlag::F_SEAL_SHRINK);
        refused(stand, 4096, access, &huge, ErrorCode::RegionNotMappable, "huge pages");
    }
}

fn what_is_no_dmabuf(stand: &mut Stand) {
    let sealed = seal(memory(true, 4096, 4096), SealFlag::F_SEAL_SHRINK);
    let memory = [(sealed, "a memfd"), (unnamed("/dev/shm"), "POSIX shared memory")];
    for access in [Access::Read, Access::ReadWrite] {
        for (file, what) in nothing_of_memory().iter().chain(&memory) {
            for size in [0, 1, 4096, 1 << 29] {
                let code = ErrorCode::RegionNotMappable;
                refused_as(Memory::Dmabuf, stand, size, access, file, code, what);
            }
            let code = ErrorCode::LimitReached;
            refused_as(Memory::Dmabuf, stand, u64::MAX, access, file, code, what);
        }
    }
}

fn no_dmabufs_allowed(stand: &mut Stand) {
    let code = ErrorCode::LimitReached;
    refused_as(Memory::Dmabuf, stand, 4096, Access::Read, &File::open("/dev/null").unwrap(), code, "any");
}

fn nothing_of_memory() -> Vec<(File, &'static str)> {
    let (pipe, _end) = nix::unistd::pipe().unwrap();
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let epoll = nix::sys::epoll::Epoll::new(nix::sys::epoll::EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    vec![
        (File::open("/dev/null").unwrap(), "/dev/null"),
        (File::open("/dev/zero").unwrap(), "/dev/zero"),
        (File::open("/proc/self/maps").unwrap(), "a file of proc"),
        (File::open("/").unwrap(), "a directory"),
        (File::open(std::env::current_exe().unwrap()).unwrap(), "a file on a disk"),
        (File::from(pipe), "a pipe"),
        (File::from(OwnedFd::from(socket)), "a socket"),
        (File::from(epoll.0), "an epoll"),
    ]
}

fn memory_that_is_refused_even_unsealed(stand: &mut Stand) {
    for access in [Access::Read, Access::ReadWrite] {
        no_memory(stand, access);
        let holes = File::from(memory(false, 8192, 4096));
        refused(stand, 8192, access, &holes, ErrorCode::RegionHasHoles, "holes");
        let small = File::from(memory(false, 4096, 4096));
        refused(stand, 8192, access, &small, ErrorCode::RegionTooSmall, "too small");
    }
    let mut client = stand.fixture.client("posix");
    let create = RegionCreate { region: 1, memory: Memory::Memfd, access: Access::ReadWrite, size: 4096 };
    let reply = stand.share(&mut client, create, &unnamed("/dev/shm"));
    assert!(matches!(reply, Reply::Done(_)), "POSIX shared memory is what the option is for: {reply:?}");
}

/// Sealed against shrinking, memory can still lose its pages; they read as zero then, and nothing faults.
fn pages_punched_out(stand: &mut Stand) {
    let mut client = stand.fixture.client("puncher");
    let memory = Shared::sealed(64 * 64 * 4);
    memory.write_words(&[0x00ff_ffff; 64 * 64]);
    stand.fixture.region(&mut client, 1, &memory);
    stand.fixture.layer(&mut client, layer(1, 0, 0, 64, 64));
    let request = Request::Draw(draw(1, packed(1, 64, 64, Format::Xrgb8888)));
    stand.fixture.done(&mut client, &request);
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(&memory.file, flags, 4096, 8192).unwrap();
    stand.fixture.done(&mut client, &request);
    let picture = stand.picture(&mut client, 1, 64, 64);
    for (index, word) in picture.into_iter().enumerate() {
        let expected = if (1024..3072).contains(&index) { 0xff00_0000 } else { 0xffff_ffff };
        assert_eq!(word, expected, "pixel {index}");
    }
}

/// Memory that can be truncated, full of one picture.
fn unsealed(words: &[u32]) -> Shared {
    let memory = Shared::new(words.len() as u64 * 4, true, SealFlag::empty());
    memory.write_words(words);
    memory
}

fn noise(random: &mut Random, pixels: u32) -> Vec<u32> {
    (0..pixels).map(|_| 0xff00_0000 | (random.next() as u32 >> 8)).collect()
}

fn truncated_before_a_draw(stand: &mut Stand) {
    for (side, left) in [(32, 0), (64, 0), (64, 4096), (64, 8192)] {
        let mut client = stand.fixture.client("truncates");
        stand.fixture.layer(&mut client, layer(1, 0, 0, 64, 64));
        stand.fixture.done(&mut client, &Request::Fill(fill(1, 0xff77_7777, 64, 64)));
        let memory = unsealed(&vec![0xffff_ffff; 64 * 64]);
        stand.fixture.region(&mut client, 1, &memory);
        memory.file.set_len(left).unwrap();
        let request = Request::Draw(draw(1, packed(1, side, side, Format::Xrgb8888)));
        if side == 32 && left > 0 {
            stand.fixture.done(&mut client, &request);
            continue;
        }
        stand.refused(&mut client, &request, ErrorCode::RegionFault, "truncated");
        // Once gone it stays gone, whatever the client does with it.
        memory.file.set_len(memory.size).unwrap();
        stand.refused(&mut client, &request, ErrorCode::RegionFault, "grown again");
        let picture = stand.picture(&mut client, 1, 64, 64);
        assert!(picture == vec![0xff77_7777; 64 * 64], "some of it landed");
        stand.unharmed();
        stand.fixture.done(&mut client, &Request::RegionDestroy { region: 1 });
        stand.fixture.region(&mut client, 1, &unsealed(&vec![0xffff_ffff; 64 * 64]));
        stand.fixture.done(&mut client, &request);
        assert!(stand.picture(&mut client, 1, 64, 64)[0] == 0xffff_ffff);
    }
}

/// Submits, does so many turns, truncates, and settles.
fn truncate_after(
    stand: &mut Stand,
    client: &mut Client,
    request: &Request<'_>,
    turns: u32,
    memory: &Shared,
) -> Reply<'static> {
    let serial = client.submit(request);
    for _ in 0..turns {
        stand.fixture.turn();
    }
    memory.file.set_len(0).unwrap();
    stand.fixture.reply(client, serial)
}

fn is_fault(reply: &Reply<'_>) -> bool {
    match reply {
        Reply::Refused(refusal) => {
            assert_eq!(refusal.code, ErrorCode::RegionFault, "{refusal}");
            true
        }
        Reply::Done(_) => false,
        other => panic!("{other:?}"),
    }
}

/// A layer whose two storages are both there and almost equal, and what it shows.
fn drawn_layer(stand: &mut Stand, client: &mut Client, id: u32, random: &mut Random) -> Vec<u32> {
    let mut whole = layer(id, 0, 0, SIDE, SIDE);
    whole.name = blitd_protocol::value::Name::new("large");
    stand.fixture.layer(client, whole);
    let words = noise(random, SIDE * SIDE);
    let memory = unsealed(&words);
    stand.fixture.region(client, 800, &memory);
    let request = Request::Draw(draw(id, packed(800, SIDE, SIDE, Format::Xrgb8888)));
    assert_eq!(stand.fixture.done(client, &request).path, Path::Swapped);
    // A few pixels of the same: the other storage is brought up to date but for these.
    let request = Request::Draw(draw(id, packed(800, 5, 1, Format::Xrgb8888)));
    assert_eq!(stand.fixture.done(client, &request).path, Path::Swapped);
    stand.fixture.done(client, &Request::RegionDestroy { region: 800 });
    words
}

/// Draws 4 x 4 pixels that can fault, and so into the spare storage, at the layer's lower end.
fn draw_little(stand: &mut Stand, client: &mut Client, id: u32, model: &mut [u32]) {
    let memory = unsealed(&[0xff01_0203; 16]);
    stand.fixture.region(client, 801, &memory);
    let mut little = draw(id, packed(801, 4, 4, Format::Xrgb8888));
    (little.destination.x, little.destination.y) = (100, 500);
    assert_eq!(stand.fixture.done(client, &Request::Draw(little)).path, Path::Swapped);
    stand.fixture.done(client, &Request::RegionDestroy { region: 801 });
    for row in 500..504 {
        model[row * SIDE as usize + 100..row * SIDE as usize + 104].fill(0xff01_0203);
    }
}

fn truncated_in_a_draw(stand: &mut Stand) {
    let mut random = Random(11);
    let mut faults = 0;
    for turns in 0..16 {
        let mut client = stand.fixture.client("truncates");
        let mut model = drawn_layer(stand, &mut client, 1, &mut random);
        let words = noise(&mut random, SIDE * SIDE);
        let memory = unsealed(&words);
        stand.fixture.region(&mut client, 1, &memory);
        let request = Request::Draw(draw(1, packed(1, SIDE, SIDE, Format::Xrgb8888)));
        let reply = truncate_after(stand, &mut client, &request, turns, &memory);
        if is_fault(&reply) {
            faults += 1;
        } else {
            model = words;
        }
        assert!(stand.picture(&mut client, 1, SIDE, SIDE) == model, "after {turns} turns some of it landed");
        stand.unharmed();
        // Nor does it land with the next draw that takes the spare storage.
        draw_little(stand, &mut client, 1, &mut model);
        assert!(stand.picture(&mut client, 1, SIDE, SIDE) == model, "after {turns} turns it landed later");
    }
    assert!((2..16).contains(&faults), "{faults} of 16 faulted: it was truncated in all stages");
}

fn truncated_in_a_batch(stand: &mut Stand) {
    let mut random = Random(12);
    let mut faults = 0;
    for turns in 0..16 {
        let mut client = stand.fixture.client("truncates");
        let mut models = [1, 2].map(|id| drawn_layer(stand, &mut client, id, &mut random));
        let words = [1, 2].map(|_| noise(&mut random, SIDE * SIDE));
        let lasting = unsealed(&words[0]);
        let memory = unsealed(&words[1]);
        stand.fixture.region(&mut client, 1, &lasting);
        stand.fixture.region(&mut client, 2, &memory);
        let configure = blitd_protocol::request::LayerConfigure {
            layer: 1,
            visible: Some(false),
            ..blitd_protocol::request::LayerConfigure::default()
        };
        let request = Request::Batch(vec![
            Entry::LayerConfigure(configure),
            Entry::Draw(draw(1, packed(1, SIDE, SIDE, Format::Xrgb8888))),
            Entry::Draw(draw(2, packed(2, SIDE, SIDE, Format::Xrgb8888))),
        ]);
        let reply = truncate_after(stand, &mut client, &request, turns, &memory);
        if is_fault(&reply) {
            faults += 1;
        } else {
            models = words;
        }
        for (id, model) in (1..).zip(&mut models) {
            let what = format!("layer {id} after {turns} turns");
            assert!(stand.picture(&mut client, id, SIDE, SIDE) == *model, "{what}");
            draw_little(stand, &mut client, id, model);
            assert!(stand.picture(&mut client, id, SIDE, SIDE) == *model, "{what}, later");
        }
        stand.unharmed();
    }
    assert!((2..16).contains(&faults), "{faults} of 16 faulted: it was truncated in all stages");
}

fn whole_capture(subject: CaptureSubject, id: u32) -> Request<'static> {
    let source = Pixels { x: 0, y: 0, width: SIDE, height: SIDE };
    Request::Capture(Capture { subject, id, source, image: packed(1, SIDE, SIDE, Format::Xbgr8888) })
}

fn truncated_in_a_capture(stand: &mut Stand) {
    for (subject, id) in [(CaptureSubject::Layer, 1), (CaptureSubject::Output, 0)] {
        let mut faults = 0;
        for turns in 0..12 {
            let mut client = stand.fixture.client("truncates");
            let model = drawn_layer(stand, &mut client, 1, &mut Random(13));
            let memory = Shared::new(BYTES, true, SealFlag::empty());
            stand.fixture.region(&mut client, 1, &memory);
            stand.fixture.rest();
            let request = whole_capture(subject, id);
            let reply = truncate_after(stand, &mut client, &request, turns, &memory);
            if is_fault(&reply) {
                faults += 1;
                stand.refused(&mut client, &request, ErrorCode::RegionFault, "again");
                let draw = Request::Draw(draw(1, packed(1, 4, 4, Format::Xrgb8888)));
                stand.refused(&mut client, &draw, ErrorCode::RegionFault, "a draw from it");
            }
            assert!(stand.picture(&mut client, 1, SIDE, SIDE) == model);
            stand.unharmed();
        }
        assert!((2..12).contains(&faults), "{subject:?}: {faults} of 12 faulted");
    }
}

/// A capture has still to read what another client draws over. It is composed first, into memory that is gone: that is
/// the fault of whoever captures, and of nobody else.
fn truncated_while_another_draws(stand: &mut Stand) {
    for (turns, code) in [(2, Some(ErrorCode::RegionFault)), (2, None)] {
        let mut painter = stand.fixture.client("paints");
        painter.priority = Priority::new(30).unwrap();
        stand.fixture.layer(&mut painter, layer(1, 0, 0, SIDE, SIDE));
        stand.fixture.done(&mut painter, &Request::Fill(fill(1, 0xff11_1111, SIDE, SIDE)));
        stand.fixture.rest();
        let mut client = stand.fixture.client("captures");
        let memory = Shared::new(BYTES, true, SealFlag::empty());
        stand.fixture.region(&mut client, 1, &memory);
        let serial = client.submit(&whole_capture(CaptureSubject::Output, 0));
        for _ in 0..turns {
            stand.fixture.turn();
        }
        if code.is_some() {
            memory.file.set_len(0).unwrap();
        }
        // In place, while the capture is under way.
        let mut over = Vec::new();
        for row in 0..8 {
            let destination = Pixels { x: 0, y: row * 64, width: SIDE, height: 64 };
            let request = crate::fixture::fill_at(fill(1, 0xff22_2222, 0, 0), destination);
            over.push(painter.submit(&Request::Fill(request)));
        }
        stand.fixture.turn();
        assert!(client.poll(serial).is_none(), "the capture is still under way");
        for request in over {
            let reply = stand.fixture.reply(&mut painter, request);
            assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
        }
        let reply = stand.fixture.reply(&mut client, serial);
        assert_eq!(is_fault(&reply), code.is_some());
        if code.is_none() {
            let words = memory.words();
            let outside = words.iter().filter(|word| **word != 0xff11_1111).count();
            assert_eq!(outside, 8 * 8, "but for the witness, the capture shows what was there before");
        }
        let picture = stand.picture(&mut painter, 1, SIDE, SIDE);
        assert!(picture == vec![0xff22_2222; (SIDE * SIDE) as usize]);
        stand.unharmed();
    }
}

//! A server that goes and comes back as a program wishes, and what both runs of the program are compared by.

use super::*;

pub(crate) const WIDTH: u32 = 320;
pub(crate) const HEIGHT: u32 = 240;

/// What the program asks of the thread that has the server.
pub(crate) enum Wish {
    /// Turn so many times more, and then no more.
    Hold(u32),
    /// Drop the server, and make another that turns on.
    Replace,
    /// The same, with this in the configuration of the other.
    ReplaceWith(String),
    /// Drop the server, and make none.
    Drop,
}

/// The program's side of the server.
pub(crate) struct Daemons {
    wishes: Sender<Wish>,
    granted: Mutex<Receiver<()>>,
    directory: PathBuf,
    /// In the run that shows what should come of it, nothing happens to the server.
    is_reference: bool,
}

impl Daemons {
    pub(crate) fn wish(&self, wish: Wish) {
        if !self.is_reference {
            self.wishes.send(wish).unwrap();
            self.granted.lock().unwrap().recv().unwrap();
        }
    }

    pub(crate) fn replace(&self) {
        self.wish(Wish::Replace);
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open_at(&self.socket(), "program").unwrap()
    }

    /// The whole screen, as another program sees it.
    pub(crate) fn screen(&self) -> Vec<u8> {
        let mut viewer = self.connect();
        let mut region = viewer.create_region((WIDTH * HEIGHT * 4) as usize).unwrap();
        viewer.capture_output(0, 0, 0, &mut region, &view(WIDTH, HEIGHT)).unwrap();
        region.bytes().to_vec()
    }
}

/// The server's side.
pub(crate) fn serve(directory: &Path, wishes: &Receiver<Wish>, granted: &Sender<()>) {
    let begin = |more: &str| {
        let listener = Listener::bind(&directory.join("socket"), 0o600).unwrap();
        let mut fixture = Fixture::configured(fixture::config(WIDTH, HEIGHT, more));
        fixture.daemon.listen(listener.socket().unwrap()).unwrap();
        (fixture, listener)
    };
    let (mut server, mut is_held) = (Some(begin("")), false);
    granted.send(()).unwrap();
    loop {
        let wish = match (&server, is_held) {
            (Some(_), false) => wishes.try_recv(),
            _ => wishes.recv().map_err(|_| TryRecvError::Disconnected),
        };
        match (wish, &mut server) {
            (Err(TryRecvError::Disconnected), _) => return,
            (Ok(Wish::Hold(turns)), Some((fixture, _))) => {
                for _ in 0..turns {
                    fixture.turn();
                }
                is_held = true;
            }
            (Ok(wish @ (Wish::Replace | Wish::ReplaceWith(_))), _) => {
                let more = if let Wish::ReplaceWith(more) = wish { more } else { String::new() };
                // The one must not be there when the other comes.
                drop(server.take());
                (server, is_held) = (Some(begin(&more)), false);
            }
            (Ok(Wish::Drop), _) => drop(server.take()),
            (Err(TryRecvError::Empty), Some((fixture, _))) => {
                // It sleeps on its sockets; for wishes it wakes.
                if !fixture.daemon.turn(Some(Duration::from_millis(1))).unwrap() {
                    fixture.pass_vblank();
                }
                continue;
            }
            (_, None) => panic!("there is no server"),
        }
        granted.send(()).unwrap();
    }
}

/// Runs a program on a server of its own. Returns what it returns.
pub(crate) fn stage<T: Send>(is_reference: bool, program: impl FnOnce(&Daemons) -> T + Send) -> T {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("blitd-reconnecting-{}-{number}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let (wishes, wanted) = channel();
    let (grant, granted) = channel();
    let outcome = thread::scope(|scope| {
        // Where nobody listens yet, the program would fail before the server is there.
        let daemons =
            Daemons { wishes, granted: Mutex::new(granted), directory: directory.clone(), is_reference };
        let program = scope.spawn(move || {
            daemons.granted.lock().unwrap().recv().unwrap();
            program(&daemons)
        });
        serve(&directory, &wanted, &grant);
        program.join().unwrap()
    });
    std::fs::remove_dir_all(&directory).unwrap();
    outcome
}

/// The pictures of a program must be the same whether or not the daemon has gone in between: those of its own that it
/// returns, and the screen.
pub(crate) fn same(program: impl Fn(&Daemons) -> (Connection, Vec<Layer>) + Sync) {
    let run = |is_reference: bool| {
        stage(is_reference, |daemons| {
            let (mut connection, layers) = program(daemons);
            // What it is asked now, it answers when all is there again.
            connection.outputs().unwrap();
            let pictures: Vec<_> = layers.iter().map(|layer| picture(&mut connection, layer)).collect();
            (pictures, daemons.screen())
        })
    };
    let (expected, found) = (run(true), run(false));
    let colours: std::collections::HashSet<_> = expected.1.chunks(4).collect();
    assert!(colours.len() > 1, "there is something to compare");
    assert!(expected.0 == found.0, "the layers differ");
    assert!(expected.1 == found.1, "the screens differ");
}

pub(crate) fn view(width: u32, height: u32) -> ImageView {
    ImageView::packed(width, height, Format::Argb8888)
}

pub(crate) fn picture(connection: &mut Connection, layer: &Layer) -> Vec<u8> {
    let (width, height) = (layer.width(), layer.height());
    let mut region = connection.create_region((width * height * 4) as usize).unwrap();
    connection.capture_layer(layer, 0, 0, &mut region, &view(width, height)).unwrap();
    region.bytes().to_vec()
}

/// Pixels that are not the same anywhere, premultiplied.
pub(crate) fn paint(region: &mut Region, seed: u64) {
    let mut random = Random(seed);
    for pixel in region.pixels_mut() {
        let [blue, green, red, alpha, ..] = random.next().to_le_bytes();
        let part = |channel: u8| (u32::from(channel) * u32::from(alpha)) / 255;
        *pixel = u32::from(alpha) << 24 | part(red) << 16 | part(green) << 8 | part(blue);
    }
}

pub(crate) fn region(connection: &mut Connection, width: u32, height: u32, seed: u64) -> Region {
    let mut region = connection.create_region((width * height * 4) as usize).unwrap();
    paint(&mut region, seed);
    region
}

pub(crate) fn draw() -> Draw {
    Draw::new(view(100, 100))
}

pub(crate) fn options() -> LayerOptions {
    LayerOptions::new(100, 100).translucent()
}

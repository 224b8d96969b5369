//! Random scenes on a display driver with hardware planes: what vkms scans out is what the model of the same scenes says,
//! pixel for pixel, whichever layers are on planes.
//!
//! The scenes are made as those of `random_scenes` are, which composes many more of them, and meet the same model. Here
//! they are as large as a screen of vkms, more of their layers are such as planes can show, and a real client sends them
//! to the real daemon. So when frames begin, and what lands in which, is up to the daemon: each frame that `sync` reports is compared, not
//! those in between. The screen's buffers hold noise before a scene begins. The buffers of planes do not: those come
//! from the kernel, cleared, when a layer gets its plane, and nobody else can write to them.

mod fixture;
#[path = "fixture/glass.rs"]
mod glass;
#[path = "random_scenes/model.rs"]
mod model;
#[path = "random_scenes/overlays.rs"]
mod overlays;
#[path = "fixture/plug.rs"]
mod plug;
#[path = "random_scenes/steps.rs"]
mod steps;

use std::borrow::Cow;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use blitd::scene::Attributes;
use blitd::scene::arrangement::Arrangement;
use blitd_client::{Link, Serial};
use blitd_pixels::turn::turned as turned_place;
use blitd_protocol::image::{Format, Plane, Rectangle};
use blitd_protocol::reply::{Reply, Shown};
use blitd_protocol::request::{Draw, Entry, LayerConfigure, LayerCreate, RegionCreate, Request};
use blitd_protocol::value::{Access, Band, Memory, NotShown, Priority, Transform};
use blitd_protocol::wire::OutputRecord;
use fixture::running::Running;
use fixture::turned::turned;
use fixture::{Random, Shared};
use glass::{crc_after, crc_of};
use model::{Layer, Model};
use overlays::overlays;
use plug::plug;
use steps::{Bounds, Painting, Step, background, live_through, numbers, one_of};

const SCENES: u64 = 12;

/// Enough for layers to come to planes and leave them again.
const STEPS: u64 = 120;

/// The smallest mode of vkms.
const MODE: (u32, u32) = (640, 480);

const BOUNDS: Bounds =
    Bounds { output: MODE, layers: [(20, 20), (360, 280)], drawn: (200, 160), outputs: 2, plain: 7 };

/// The number of the only output, and of the client's only region.
const OUTPUT: u32 = 1;
const REGION: u32 = 1;

/// More than all draws of a batch take, several times.
const REGION_SIZE: u64 = 4 << 20;

/// Only a deadlock takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often something was so when the glass was compared.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    checks: u64,
    /// Some layer was on a plane.
    with_planes: u64,
    /// A plane hid a part of a layer that was composed.
    hiding: u64,
    /// A plane showed a part of a layer, the rest of which was beside the screen.
    clipped: u64,
    /// A layer that had been on a plane was not any more, although nothing had been done to it.
    came_back: u64,
}

/// A client of a scene, and what it knows of it.
struct World {
    link: Link,
    region: Shared,
    /// How much of the region is lent.
    lent: u64,
    asked: Vec<Serial>,
    model: Model,
    screen: OutputRecord,
    transform: Transform,
    is_changed: bool,
    /// Layers that were on planes, and how they were.
    on_planes: Vec<(u32, Attributes)>,
    counts: Counts,
    // The last one: the client goes before its daemon.
    _daemon: Running,
}

/// A daemon on a screen that is turned in this way.
fn daemon(transform: Transform, background: u32) -> Running {
    let (rotation, reflect) = (u32::from(transform.number() % 4) * 90, transform.number() >= 4);
    let colour = background & 0x00ff_ffff;
    Running::on_card(&format!(
        "[output.Virtual-1]\nmode = \"{}x{}\"\nrotation = {rotation}\nreflect = {reflect}\nbackground = \"#{colour:06x}\"\n",
        MODE.0, MODE.1
    ))
}

impl World {
    fn new(random: &mut Random) -> Result<Self, String> {
        let transform = one_of(random, Transform::ALL);
        let daemon = daemon(transform, background(random));
        let socket = UnixStream::connect(daemon.socket()).unwrap();
        let (link, hello) = Link::new(socket, "scenes").unwrap();
        let region = Shared::sealed(REGION_SIZE);
        let mut world = Self {
            link,
            region,
            lent: 0,
            asked: Vec::new(),
            model: Model::default(),
            screen: OutputRecord::default(),
            transform,
            is_changed: true,
            on_planes: Vec::new(),
            counts: Counts::default(),
            _daemon: daemon,
        };
        world.reply(hello)?;
        let create = RegionCreate {
            region: REGION,
            memory: Memory::Memfd,
            access: Access::ReadWrite,
            size: REGION_SIZE,
        };
        let descriptor = world.region.descriptor();
        let lent = world.link.submit_with(&Request::RegionCreate(create), descriptor, Priority::DEFAULT);
        world.asked.push(lent.unwrap());
        world.screen = world.output()?;
        world.spoil(random)?;
        Ok(world)
    }

    /// Sends a request that is answered some time.
    fn ask(&mut self, request: &Request<'_>) {
        self.asked.push(self.link.submit(request, Priority::DEFAULT).unwrap());
    }

    fn reply(&mut self, serial: Serial) -> Result<Reply<'static>, String> {
        let deadline = Some(Instant::now() + PATIENCE);
        self.link.wait_for(serial, deadline).map_err(|error| error.to_string())
    }

    /// Waits until all that has been asked for is done.
    fn settle(&mut self) -> Result<(), String> {
        for serial in std::mem::take(&mut self.asked) {
            match self.reply(serial)? {
                Reply::Done(_) => {}
                other => return Err(format!("{other:?}")),
            }
        }
        self.lent = 0;
        Ok(())
    }

    fn call(&mut self, request: &Request<'_>) -> Result<Reply<'static>, String> {
        let serial = self.link.submit(request, Priority::DEFAULT).unwrap();
        self.settle()?;
        self.reply(serial)
    }

    fn output(&mut self) -> Result<OutputRecord, String> {
        match self.call(&Request::Outputs { first: 0 })? {
            Reply::Outputs(list) if list.records.len() == 1 => Ok(list.records[0]),
            other => Err(format!("{other:?}")),
        }
    }

    /// Waits until all that has been asked for is on the glass; `None` where no layer is to be seen, and so nothing is
    /// waited for.
    fn sync(&mut self) -> Result<Option<Shown>, String> {
        match self.call(&Request::Sync { output: OUTPUT })? {
            Reply::Shown(shown) if shown.reason == NotShown::Shown => Ok(Some(shown)),
            Reply::Shown(shown) if shown.reason == NotShown::NothingVisible => Ok(None),
            other => Err(format!("{other:?}")),
        }
    }

    fn size(&self) -> (u32, u32) {
        (self.screen.width.get(), self.screen.height.get())
    }

    /// Shows noise of each of the screen's buffers: what they hold when the scene begins must not matter.
    fn spoil(&mut self, random: &mut Random) -> Result<(), String> {
        let (width, height) = self.size();
        let whole = Rectangle::from_size(width, height);
        let crop = blitd::scene::crop::whole(width, height);
        let attributes = Attributes {
            output: OUTPUT,
            place: whole,
            crop,
            band: Band::Normal,
            z: 0,
            opacity: 255,
            visible: true,
        };
        self.create(u32::MAX, (width, height), Format::Xrgb8888, attributes);
        for _ in 0..2 {
            let bytes: Vec<u8> =
                (0..whole.pixels()).flat_map(|_| (random.next() as u32).to_le_bytes()).collect();
            let image = fixture::packed(0, width, height, Format::Xrgb8888);
            let draw = fixture::draw(u32::MAX, image);
            let request = self.lend(Draw { carried: Cow::Owned(bytes), ..draw });
            self.ask(&Request::Draw(request));
            self.sync()?;
        }
        self.ask(&Request::LayerDestroy { layer: u32::MAX });
        Ok(())
    }

    /// The same draw, of pixels in the client's region.
    fn lend(&mut self, draw: Draw<'static>) -> Draw<'static> {
        self.region.write(self.lent, &draw.carried);
        let mut image = draw.image;
        image.planes[0] = Plane { region: REGION, offset: self.lent, ..image.planes[0] };
        self.lent += draw.carried.len() as u64;
        Draw { image, carried: Cow::Borrowed(&[]), ..draw }
    }

    fn create(&mut self, layer: u32, (width, height): (u32, u32), format: Format, attributes: Attributes) {
        // What its request does not say of it is said before it is seen.
        let hidden = LayerCreate {
            visible: false,
            output: OUTPUT,
            fourcc: format.fourcc(),
            ..fixture::layer(layer, 0, 0, width, height)
        };
        self.ask(&Request::LayerCreate(hidden));
        self.ask(&Request::LayerConfigure(configured(layer, attributes)));
    }

    fn step(&mut self, random: &mut Random) -> Result<(), String> {
        match Step::random(random, &BOUNDS, self.model.layers(), |_| true) {
            Some(Step::Create { size, format, attributes }) => {
                let id = self.model.create(size, format, attributes);
                self.create(id, size, format, attributes);
            }
            Some(Step::Destroy { layer }) => {
                self.model.destroy(layer);
                self.ask(&Request::LayerDestroy { layer });
            }
            Some(Step::Configure { layer, attributes }) => {
                self.model.configure(layer, attributes);
                self.ask(&Request::LayerConfigure(configured(layer, attributes)));
            }
            Some(Step::Paint(painting)) => self.paint(painting)?,
            // A frame that is not looked at: layers come to planes when they have been there for some.
            Some(Step::GoOnPainting) => return self.sync().map(drop),
            Some(Step::TurnOffAndOn) => self.plug_out_and_in()?,
            Some(Step::GoOnWithFrame) => return self.check(),
            None => return Ok(()),
        }
        self.is_changed = true;
        Ok(())
    }

    fn paint(&mut self, painting: Painting) -> Result<(), String> {
        let Painting { layer, is_batch, entries, drawn, attributes } = painting;
        if self.lent > REGION_SIZE / 2 {
            self.settle()?;
        }
        let lent = entries.into_iter().map(|entry| match entry {
            Entry::Draw(draw) => Entry::Draw(self.lend(draw)),
            other => other,
        });
        let mut entries: Vec<Entry<'static>> = lent.collect();
        drawn.iter().for_each(|drawn| self.model.draw(drawn));
        if let Some(attributes) = attributes {
            self.model.configure(layer, attributes);
            entries.push(Entry::LayerConfigure(configured(layer, attributes)));
        }
        let request = match entries.pop() {
            Some(Entry::Draw(draw)) if !is_batch => Request::Draw(draw),
            Some(Entry::Fill(fill)) if !is_batch => Request::Fill(fill),
            None => return Ok(()),
            last => Request::Batch(entries.into_iter().chain(last).collect()),
        };
        self.ask(&request);
        Ok(())
    }

    /// The screen goes, and comes again.
    fn plug_out_and_in(&mut self) -> Result<(), String> {
        self.settle()?;
        for is_in in [false, true] {
            plug(is_in);
            while !self.link.pulses().any(|pulse| pulse == Reply::OutputsChanged) {
                self.link.dispatch(Some(PATIENCE)).map_err(|error| error.to_string())?;
            }
        }
        // Layers come to planes anew.
        self.on_planes.clear();
        Ok(())
    }

    /// Compares the glass with the model, where something has been done since that was done last.
    fn check(&mut self) -> Result<(), String> {
        if !self.is_changed {
            return Ok(());
        }
        let Some(shown) = self.sync()? else { return Ok(()) };
        self.is_changed = false;
        let planes = self.output()?.planes;
        let mut arrangement = Arrangement::default();
        arrangement.change([(OUTPUT, None)]);
        let contributions = arrangement.shown_on(OUTPUT);
        let picture = self.model.picture(&contributions, self.screen.background.get(), self.size());
        let number = u32::from(self.transform.number());
        let expected = crc_of(&turned(&picture, self.size(), number % 4, number >= 4));
        if crc_after(shown.sequence) != expected {
            return Err(format!("the glass shows something else, with {planes} planes"));
        }
        self.count(planes)
    }

    /// Looks at which layers are on planes.
    fn count(&mut self, planes: u8) -> Result<(), String> {
        let overlays = overlays();
        if overlays.len() != usize::from(planes) {
            return Err(format!("{planes} planes are told of, and these are on: {overlays:?}"));
        }
        let counts = &mut self.counts;
        counts.checks += 1;
        counts.with_planes += u64::from(!overlays.is_empty());
        let is_clipped =
            |overlay: &overlays::Shown| overlay.buffer != (overlay.place.width(), overlay.place.height());
        counts.clipped += u64::from(overlays.iter().any(is_clipped));
        let size = self.size();
        let on_plane = |layer: &&Layer| {
            let place = turned_place(layer.attributes.place, size, self.transform);
            overlays.iter().any(|overlay| overlay.place == place)
        };
        let now: Vec<_> =
            self.model.layers().iter().filter(on_plane).map(|layer| (layer.id, layer.attributes)).collect();
        let is_hidden = |layer: &Layer| {
            let place = turned_place(layer.attributes.place, size, self.transform);
            let is_composed =
                layer.attributes.visible && !overlays.iter().any(|overlay| overlay.place == place);
            is_composed && overlays.iter().any(|overlay| overlay.place.intersection(place).is_some())
        };
        self.counts.hiding += u64::from(self.model.layers().iter().any(is_hidden));
        let is_as_it_was = |(id, attributes): &(u32, Attributes)| {
            self.model.layers().iter().any(|layer| layer.id == *id && layer.attributes == *attributes)
        };
        let came_back = self.on_planes.iter().any(|before| is_as_it_was(before) && !now.contains(before));
        self.counts.came_back += u64::from(came_back);
        self.on_planes = now;
        Ok(())
    }
}

/// The request that has a layer be so.
fn configured(layer: u32, attributes: Attributes) -> LayerConfigure {
    let Attributes { output, place, crop, band, z, opacity, visible } = attributes;
    LayerConfigure {
        layer,
        place: Some((place.left(), place.top())),
        z: Some(z),
        band: Some(band),
        opacity: Some(opacity),
        visible: Some(visible),
        output: Some(output),
        size: Some((place.width(), place.height())),
        crop: Some(crop),
    }
}

/// Lives through a scene of these steps.
fn live(seed: u64, steps: &[u64]) -> Result<Counts, String> {
    let mut world = World::new(&mut Random(seed))?;
    for step in steps {
        world.step(&mut numbers(seed, *step)).map_err(|error| format!("step {step}: {error}"))?;
    }
    world.is_changed = true;
    world.check()?;
    Ok(world.counts)
}

#[test]
fn the_glass_shows_what_the_model_says() {
    let mut all = Counts::default();
    for seed in 0..SCENES {
        let counts = live_through(seed, STEPS, live);
        all.checks += counts.checks;
        all.with_planes += counts.with_planes;
        all.hiding += counts.hiding;
        all.clipped += counts.clipped;
        all.came_back += counts.came_back;
    }
    println!("{SCENES} scenes: {all:?}");
    let Counts { checks, with_planes, hiding, clipped, came_back } = all;
    assert!(checks > SCENES * 10 && 3 * with_planes > checks, "{all:?}");
    assert!(8 * hiding > checks && 4 * clipped > checks && came_back > 0, "{all:?}");
}

//! A program that does anything, by chance.

use super::*;

/// What a random program has.
pub(crate) struct Chance<'a> {
    pub(crate) daemons: &'a Daemons,
    pub(crate) connection: Connection,
    pub(crate) random: Random,
    pub(crate) layers: Vec<Layer>,
    pub(crate) regions: Vec<Region>,
}

impl Chance<'_> {
    pub(crate) fn draw(&mut self) -> Draw {
        let (width, height) = (1 + self.random.below(40) as u32, 1 + self.random.below(40) as u32);
        let (left, top) = (self.random.below(60) as u32, self.random.below(60) as u32);
        let at = [0, 1].map(|_| self.random.below(120) as i32 - 30);
        let draw = Draw::new(view(100, 100)).at(at[0], at[1]);
        let draw = if self.random.below(6) == 0 { draw } else { draw.part(left, top, width, height) };
        let draw = match self.random.below(6) {
            0 => draw.scaled_to(left + 1, top + 1),
            1 => draw.scaled_to(2 * width, 3 * height).filter(Filter::Bilinear),
            2 => draw.transform(Transform::ReflectRotate90),
            _ => draw,
        };
        match self.random.below(3) {
            0 => draw,
            1 => draw.over(),
            _ => draw.over().opacity(self.random.next() as u8),
        }
    }

    pub(crate) fn layer(&mut self) -> usize {
        self.random.below(self.layers.len() as u64) as usize
    }

    pub(crate) fn region(&mut self) -> Region {
        let place = self.random.below(self.regions.len() as u64) as usize;
        self.regions.swap_remove(place)
    }

    pub(crate) fn create_layer(&mut self) {
        let side = [20, 90, 120][self.random.below(3) as usize];
        let at = [0, 1].map(|_| self.random.below(200) as i32 - 20);
        let options = LayerOptions::new(side, side).at(at[0], at[1]).z(self.random.below(3) as i32);
        let options = if self.random.below(2) == 0 { options.translucent() } else { options };
        self.layers.push(self.connection.create_layer(&options).unwrap());
    }

    pub(crate) fn create_region(&mut self) {
        let seed = self.random.next();
        self.regions.push(region(&mut self.connection, 100, 100, seed));
    }

    /// Draws for later, some of which the daemon may have begun when it goes.
    pub(crate) fn lend(&mut self) {
        self.daemons.wish(Wish::Hold(0));
        let (mut lent, mut kept) = (Vec::new(), Vec::new());
        for _ in 0..=self.random.below(2) {
            let count = self.random.below(4);
            let draws: Vec<_> = (0..count).map(|_| (self.layer(), self.draw())).collect();
            let from = self.region();
            let draws = draws.iter().map(|(layer, draw)| (&self.layers[*layer], *draw));
            lent.push(self.connection.lend_draws(from, draws).unwrap());
        }
        let image = view(20, 20);
        let layer = self.layer();
        let into = self.region();
        kept.push(self.connection.lend_capture_layer(&self.layers[layer], 0, 0, into, &image).unwrap());
        let from = self.region();
        let (layer, draw) = (self.layer(), self.draw());
        kept.push(self.connection.lend_draw(&self.layers[layer], from, &draw).unwrap());
        self.connection.flush().unwrap();
        let turns = self.random.below(12) as u32;
        self.daemons.wish(Wish::Hold(turns));
        self.daemons.replace();
        if self.random.below(3) == 0 {
            drop(lent.pop());
        }
        for lent in lent {
            let (region, answers) = lent.wait(&mut self.connection).unwrap();
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
            self.regions.push(region);
        }
        for lent in kept {
            self.regions.push(lent.wait(&mut self.connection).unwrap().0);
        }
    }

    pub(crate) fn step(&mut self) {
        while self.regions.len() < 4 {
            self.create_region();
        }
        while self.layers.len() < 3 {
            self.create_layer();
        }
        let layer = self.layer();
        let mut region = self.region();
        let draw = self.draw();
        let [x, y] = [0, 1].map(|_| self.random.below(140) as i32 - 30);
        let (width, height) = (1 + self.random.below(130) as u32, 1 + self.random.below(130) as u32);
        let colour =
            if self.random.below(2) == 0 { 0xff00_0000 } else { 0 } | self.random.next() as u32 & 0x3f_3f3f;
        match self.random.below(40) {
            0 => {
                self.connection.destroy_region(region).unwrap();
                return;
            }
            1 => return drop(region),
            2 => {
                let layer = self.layers.remove(layer);
                self.connection.destroy_layer(layer).unwrap();
            }
            3 => {
                let change = LayerChange::default().place(x, y).opacity(self.random.next() as u8 | 0x80);
                let change = change.z(self.random.below(3) as i32).visible(self.random.below(4) > 0);
                self.connection.configure_layer(&self.layers[layer], &change).unwrap();
            }
            4..=6 => {
                let view = ImageView { offset: 4 * 101, ..view(90, 90) };
                self.connection.capture_output(0, 10, 20, &mut region, &view).unwrap();
            }
            7..=8 => {
                self.regions.push(region);
                return self.lend();
            }
            9..=10 => self.daemons.replace(),
            11..=16 => {
                let seed = self.random.next();
                paint(&mut region, seed);
            }
            17..=18 => region.bytes_mut()[(width * 100) as usize..].fill(colour as u8 | 0x3f),
            19..=23 => {
                let pixels = Pixels { x, y, width, height };
                let entries = [
                    BatchEntry::Draw(&self.layers[layer], draw),
                    BatchEntry::Fill(&self.layers[0], colour, pixels),
                    BatchEntry::Draw(&self.layers[1], draw.over()),
                ];
                self.connection.batch(&mut region, &entries).unwrap();
            }
            24..=25 => {
                for _ in 0..self.random.below(300) {
                    let at = [0, 1].map(|_| self.random.below(120) as i32);
                    self.connection.fill(&self.layers[layer], colour, at[0], at[1], 3, 2).unwrap();
                }
            }
            26..=28 => {
                self.connection.fill(&self.layers[layer], colour, x, y, width, height).map(drop).unwrap()
            }
            29..=30 => {
                let draw = draw.part(3, 5, 40, 20);
                self.connection.draw_pixels(&self.layers[layer], region.bytes(), &draw).map(drop).unwrap();
            }
            _ => self.connection.draw(&self.layers[layer], &mut region, &draw).map(drop).unwrap(),
        }
        self.regions.push(region);
    }
}

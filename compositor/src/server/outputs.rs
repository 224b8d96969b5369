//! Which outputs there are, and what comes of it when one comes or goes: layers stay what they are, clients are told,
//! and what is left shows what it should.

use super::Server;
use crate::display::Change;
use crate::display::output::Output;
use crate::scene::OutputId;

impl Server {
    /// Looks which screens are plugged in, where that may have changed.
    pub(super) fn look_for_outputs(&mut self) {
        self.heard = true;
        if !self.rooms.display.has_changed() {
            return;
        }
        // Asking a screen what it is takes its time, and away from the VT it is another program's.
        if self.rooms.session.is_in_front() {
            self.rescan();
        } else {
            self.missed_outputs = true;
        }
    }

    /// Looks which screens are plugged in.
    pub(super) fn rescan(&mut self) {
        match self.rooms.display.rescan(self.rooms.clock.now()) {
            Ok(changes) => self.change_outputs(changes),
            Err(error) => tracing::warn!("{error}"),
        }
        // The look has taken in what was on its way.
        self.take_flips();
    }

    /// Outputs have come or gone, as the display says.
    pub fn change_outputs(&mut self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        for change in changes {
            match change {
                Change::Came(output) => self.output_came(*output),
                Change::Went(output) => self.output_went(output),
            }
        }
        let rooms = &mut self.rooms;
        rooms.outputs.sort_unstable_by_key(Output::id);
        // Where it has changed so far went by the old arrangement; the new one may show any layer anywhere.
        for damage in rooms.scene.take_damage() {
            damage.drawn.into_iter().for_each(|drawn| rooms.display.drawn(damage.layer, drawn));
        }
        rooms.arrangement.change(rooms.outputs.iter().map(|output| (output.id(), output.screen().place)));
        rooms.outputs.iter_mut().for_each(Output::damage_whole);
        self.tell_syncing();
        for client in self.clients.values_mut() {
            client.outputs_changed();
            self.replied.push(client.id());
        }
    }

    fn output_came(&mut self, mut output: Output) {
        let screen = output.screen();
        let (width, height) = screen.size();
        let refresh = f64::from(screen.refresh) / 1000.0;
        tracing::info!("output {}: {} {width}x{height} at {refresh} Hz", output.id(), screen.name);
        let rooms = &mut self.rooms;
        match rooms.outputs.iter_mut().find(|other| other.id() == output.id()) {
            Some(before) => {
                for composition in before.composing() {
                    rooms.compositions.cancel(*composition);
                }
                output.succeed(before);
                *before = output;
            }
            None => rooms.outputs.push(output),
        }
    }

    fn output_went(&mut self, id: OutputId) {
        let rooms = &mut self.rooms;
        let Some(index) = rooms.outputs.iter().position(|output| output.id() == id) else { return };
        let output = rooms.outputs.remove(index);
        tracing::info!("output {id}: {} is gone", output.screen().name);
        for composition in output.composing() {
            rooms.compositions.cancel(*composition);
        }
    }
}

//! Pixels stay where the client made them, and a reply means that they are the client's again.

mod fixture;

use blitd_client::{Connection, Draw, Format, ImageView, LayerOptions};
use blitd_protocol::request::Request;
use blitd_protocol::value::Path;
use fixture::running::Running;
use fixture::{Fixture, Shared, config, draw, layer, packed};

#[test]
fn a_large_draw_sends_no_pixels() {
    const WIDTH: u32 = 3840;
    const HEIGHT: u32 = 2160;
    let mut fixture = Fixture::new(WIDTH, HEIGHT);
    let mut client = fixture.client("large");
    let memory = Shared::sealed(u64::from(WIDTH * HEIGHT * 4));
    memory.write(memory.size - 4, &[1, 2, 3, 0]);
    fixture.region(&mut client, 1, &memory);
    fixture.layer(&mut client, layer(1, 0, 0, WIDTH, HEIGHT));
    let (sent, received) = (client.link.bytes_sent(), client.link.bytes_received());
    let receipt =
        fixture.done(&mut client, &Request::Draw(draw(1, packed(1, WIDTH, HEIGHT, Format::Xrgb8888))));
    let (sent, received) = (client.link.bytes_sent() - sent, client.link.bytes_received() - received);
    println!("a draw of {WIDTH}x{HEIGHT}: {sent} bytes sent, {received} received");
    assert!(sent + received < 512, "{sent} bytes sent, {received} received");
    assert_eq!((receipt.path, receipt.bytes), (Path::Swapped, memory.size));
    assert!(receipt.slices > 10, "{receipt:?}");
    assert_eq!(fixture.screen(WIDTH, HEIGHT).last(), Some(&0xff03_0201));
}

/// One client: paints its only region, draws it, and paints a canary over all of it at once when the call returns,
/// beginning with the last row. Whatever of the canary the daemon still reads is in the layer.
fn draw_and_overwrite(socket: &std::path::Path, number: u32, rounds: u32) {
    const CANARY: u32 = 0xffca_9a21;
    // A slice holds some 65,000 pixels: clients with one, two and more slices.
    let (width, height) = [(256, 200), (300, 300), (64, 64), (512, 400)][number as usize % 4];
    let mut connection = Connection::open_at(socket, "canary").unwrap();
    let layer = connection.create_layer(&LayerOptions::new(width, height).at(number as i32 * 50, 0)).unwrap();
    let bytes = (width * height * 4) as usize;
    let mut region = connection.create_region(bytes).unwrap();
    let mut taken = connection.create_region(bytes).unwrap();
    let image = ImageView::packed(width, height, Format::Xrgb8888);
    for round in 0..rounds {
        let colour = 0xff00_0000 | (number << 20) | round;
        region.pixels_mut().fill(colour);
        connection.draw(&layer, &mut region, &Draw::new(image)).unwrap();
        for row in region.pixels_mut().chunks_mut(width as usize).rev() {
            row.fill(CANARY);
        }
        connection.capture_layer(&layer, 0, 0, &mut taken, &image).unwrap();
        let wrong = taken.pixels_mut().iter().position(|pixel| *pixel != colour);
        assert_eq!(wrong, None, "client {number}, round {round}: a pixel is not what was drawn");
    }
}

#[test]
fn the_reply_never_comes_before_the_last_row_was_read() {
    let running = Running::start(config(800, 600, ""));
    std::thread::scope(|scope| {
        for number in 0..4 {
            let socket = running.socket();
            scope.spawn(move || draw_and_overwrite(socket, number, 1000));
        }
    });
}

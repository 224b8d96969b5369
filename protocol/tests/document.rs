//! Holds docs/protocol.md against the code: layouts, numbers, constants, links, and every example byte for byte.
//!
//! The document names what it shows in the line above: "Layout `Draw`, 136 bytes:", "Values of `mode`:",
//! "Example, request `hello`:". Where an example is wrong, the failure prints the block that would be right.

use std::collections::BTreeSet;

use blitd_protocol::error::{ErrorCode, MAX_ERROR_TEXT};
use blitd_protocol::framing::{Framing, HEADER_LENGTH, MAX_DESCRIPTORS, MAX_LENGTH};
use blitd_protocol::image::{Format, LINEAR, MAX_EXTENT, MAX_PLANES};
use blitd_protocol::reply::{Reply, kind};
use blitd_protocol::request::{
    FixedRectangle, LayerConfigure, MAGIC, MAX_CARRIED, MAX_ENTRIES, Request, RequestKind, VERSION,
};
use blitd_protocol::transport::{SOCKET_VARIABLE, SYSTEM_SOCKET};
use blitd_protocol::value::{
    Access, Backend, Band, CaptureSubject, ClockSource, ColorEncoding, ColorRange, Filter, MAX_NAME,
    MAX_PRIORITY, Memory, Mode, NotShown, Operator, Path, Priority, StatisticsSubject, Transform,
};
use blitd_protocol::wire::{self, LAYOUTS};
use zerocopy::FromBytes;

#[path = "document/annotate.rs"]
mod annotate;
#[path = "document/examples.rs"]
mod examples;
#[path = "document/markdown.rs"]
mod markdown;

use examples::{Example, Message, examples};
use markdown::{Block, Content, blocks};

const DOCUMENT: &str = include_str!("../../docs/protocol.md");

/// The block below this line of text.
fn below(title: &str) -> Block {
    let mut found: Vec<_> = blocks(DOCUMENT).into_iter().filter(|block| block.title == title).collect();
    assert_eq!(found.len(), 1, "blocks below a line \"{title}\"");
    found.remove(0)
}

/// `CamelCase` as `snake_case`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
    }
    snake
}

/// A type as the document writes it.
fn type_text(kind: &str) -> String {
    match kind
        .strip_prefix('[')
        .and_then(|kind| kind.strip_suffix(']'))
        .and_then(|kind| kind.split_once("; "))
    {
        Some((element, count)) => format!("{}[{count}]", type_text(element)),
        None if matches!(kind, "U16" | "U32" | "U64" | "I32") => kind.to_lowercase(),
        None => kind.to_owned(),
    }
}

fn equal(table: &str, document: Vec<Vec<&str>>, code: Vec<Vec<String>>) {
    for row in &code {
        assert!(document.iter().any(|other| other == row), "{table}: the document lacks the row {row:?}");
    }
    for row in &document {
        assert!(code.iter().any(|other| other == row), "{table}: the code lacks the row {row:?}");
    }
    assert_eq!(document.len(), code.len(), "{table}: a row stands twice");
}

fn row<const N: usize>(cells: [&dyn ToString; N]) -> Vec<String> {
    cells.iter().map(|cell| cell.to_string()).collect()
}

fn hexadecimal(number: u16) -> String {
    format!("{number:#06x}")
}

#[test]
fn every_layout_has_its_table() {
    for layout in LAYOUTS {
        let block = below(&format!("Layout `{}`, {} bytes:", layout.name, layout.size));
        let document = block.rows(&["offset", "size", "type", "field"]);
        let code: Vec<_> = layout
            .fields
            .iter()
            .map(|field| row([&field.offset, &field.size, &type_text(field.kind), &field.name]))
            .collect();
        assert_eq!(document, code, "layout {}", layout.name);
        let fields: usize = layout.fields.iter().map(|field| field.size).sum();
        assert_eq!(fields, layout.size, "{} has gaps", layout.name);
    }
    let titles = blocks(DOCUMENT).iter().filter(|block| block.title.starts_with("Layout ")).count();
    assert_eq!(titles, LAYOUTS.len(), "the document has a layout that the code has not");
}

#[test]
fn every_request_has_its_number() {
    let block = below("Kinds of requests:");
    let code = RequestKind::ALL.iter().map(|kind| row([&hexadecimal(kind.number()), &kind.name()])).collect();
    equal("requests", block.rows(&["kind", "request"]), code);
    // The replies that the table names are those of the other table.
    let replies = below("Kinds of replies:");
    let replies: BTreeSet<_> =
        replies.rows(&["kind", "reply"]).into_iter().map(|row| row[1].to_owned()).collect();
    for row in block.rows(&["kind", "request", "reply"]) {
        assert!(row[2] == "none" || replies.contains(row[2]), "{} has the reply {}", row[1], row[2]);
    }
}

/// Every kind of reply and pulse by name. The match in `reply_name` does not compile when one is missing there.
const REPLIES: &[(u16, &str)] = &[
    (kind::WELCOME, "welcome"),
    (kind::DONE, "done"),
    (kind::DATA, "data"),
    (kind::SHOWN, "shown"),
    (kind::OUTPUTS, "outputs"),
    (kind::STATISTICS, "statistics"),
    (kind::TOKEN, "token"),
    (kind::CLAIMED, "claimed"),
    (kind::REFUSED, "refused"),
    (kind::OUTPUTS_CHANGED, "outputs_changed"),
];

fn reply_name(reply: &Reply<'_>) -> &'static str {
    match reply {
        Reply::Welcome(_) => "welcome",
        Reply::Done(_) => "done",
        Reply::Data(_) => "data",
        Reply::Shown(_) => "shown",
        Reply::Outputs(_) => "outputs",
        Reply::Statistics(_) => "statistics",
        Reply::Token(_) => "token",
        Reply::Claimed(_) => "claimed",
        Reply::Refused(_) => "refused",
        Reply::OutputsChanged => "outputs_changed",
    }
}

#[test]
fn every_reply_has_its_number() {
    let block = below("Kinds of replies:");
    let code = REPLIES.iter().map(|(number, name)| row([&hexadecimal(*number), name])).collect();
    equal("replies", block.rows(&["kind", "reply"]), code);
}

#[test]
fn every_error_has_its_number() {
    let block = below("Errors:");
    let code = ErrorCode::ALL
        .iter()
        .map(|code| {
            let ends = if code.ends_connection() { "yes" } else { "no" };
            row([&code.number(), &snake(&format!("{code:?}")), &ends])
        })
        .collect();
    equal("errors", block.rows(&["number", "error", "ends"]), code);
    // What ends a connection stands together too; there, a wrong value is one in the hello.
    let block = below("What ends a connection:");
    let mut causes: BTreeSet<_> =
        block.rows(&["cause", "reply"]).into_iter().map(|row| row[1].to_owned()).collect();
    assert!(causes.remove("none") && causes.remove("bad_value"));
    let ends = ErrorCode::ALL.iter().filter(|code| code.ends_connection());
    assert_eq!(causes, ends.map(|code| snake(&format!("{code:?}"))).collect());
}

#[test]
fn every_value_has_its_number() {
    let mut titles = 0;
    macro_rules! hold {
        ($($type:ident = $title:literal,)*) => {$({
            titles += 1;
            let block = below(concat!("Values of ", $title, ":"));
            let code = $type::ALL.iter().map(|value| row([&value.number(), &snake(&format!("{value:?}"))])).collect();
            equal($title, block.rows(&["number", "name"]), code);
        })*};
    }
    hold! {
        Mode = "`mode`",
        Memory = "`memory`",
        Access = "`access`",
        Transform = "`transform`",
        Filter = "`filter`",
        ColorEncoding = "`encoding`",
        ColorRange = "`range`",
        Operator = "`operator`",
        Band = "`band`",
        CaptureSubject = "`subject` in a capture",
        StatisticsSubject = "`subject` in statistics",
        Path = "`path`",
        NotShown = "`reason`",
        ClockSource = "`clock`",
        Backend = "`backend`",
    }
    let all = blocks(DOCUMENT).iter().filter(|block| block.title.starts_with("Values of ")).count();
    assert_eq!(all, titles, "the document has values that no test knows");
}

#[test]
fn the_matrices_are_reflections_then_rotations() {
    let block = below("Values of `transform`:");
    let product = |[a, b, c, d]: [i32; 4], [e, f, g, h]: [i32; 4]| {
        [a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h]
    };
    for row in block.rows(&["number", "name", "matrix"]) {
        let number: u8 = row[0].parse().unwrap();
        let mut matrix = if number < 4 { [1, 0, 0, 1] } else { [-1, 0, 0, 1] };
        for _ in 0..number % 4 {
            // Counter-clockwise with y down: what points right points up after it, what points down points right.
            matrix = product([0, 1, -1, 0], matrix);
        }
        let [a, b, c, d] = matrix;
        assert_eq!(row[2], format!("{a} {b} / {c} {d}"), "transform {number}");
    }
}

#[test]
fn every_change_has_its_bit() {
    let block = below("Bits of `changes`:");
    let changes = [
        ("place", LayerConfigure { place: Some((0, 0)), ..Default::default() }),
        ("z", LayerConfigure { z: Some(0), ..Default::default() }),
        ("band", LayerConfigure { band: Some(Band::Normal), ..Default::default() }),
        ("opacity", LayerConfigure { opacity: Some(0), ..Default::default() }),
        ("visible", LayerConfigure { visible: Some(false), ..Default::default() }),
        ("output", LayerConfigure { output: Some(0), ..Default::default() }),
        ("size", LayerConfigure { size: Some((0, 0)), ..Default::default() }),
        ("crop", LayerConfigure { crop: Some(FixedRectangle::default()), ..Default::default() }),
    ];
    let code = changes
        .map(|(name, configure)| {
            let mut bytes = Vec::new();
            Request::LayerConfigure(configure).encode(1, Priority::DEFAULT, &mut bytes).unwrap();
            let wire = wire::LayerConfigure::ref_from_bytes(&bytes[HEADER_LENGTH..]).unwrap();
            row([&wire.changes.get(), &name])
        })
        .to_vec();
    equal("changes", block.rows(&["bit", "changes"]), code);
}

#[test]
fn every_format_has_its_code() {
    let block = below("Formats:");
    let code = Format::ALL
        .into_iter()
        .map(|format| {
            let name = format!("{format:?}").to_uppercase();
            let alpha = if format.has_alpha() { "yes" } else { "no" };
            row([&name, &format, &format!("{:#010x}", format.fourcc()), &format.bytes_per_pixel(), &alpha])
        })
        .collect();
    equal("formats", block.rows(&["format", "fourcc", "number", "bytes per pixel", "alpha"]), code);
}

#[test]
fn every_constant_has_its_value() {
    let block = below("Constants:");
    let code = vec![
        row([&"MAGIC", &format!("{MAGIC:#010x}")]),
        row([&"VERSION", &VERSION]),
        row([&"HEADER_LENGTH", &HEADER_LENGTH]),
        row([&"MAX_LENGTH", &MAX_LENGTH]),
        row([&"MAX_CARRIED", &MAX_CARRIED]),
        row([&"MAX_DESCRIPTORS", &MAX_DESCRIPTORS]),
        row([&"MAX_ENTRIES", &MAX_ENTRIES]),
        row([&"MAX_EXTENT", &MAX_EXTENT]),
        row([&"MAX_PLANES", &MAX_PLANES]),
        row([&"MAX_PRIORITY", &MAX_PRIORITY]),
        row([&"DEFAULT_PRIORITY", &Priority::DEFAULT.number()]),
        row([&"MAX_NAME", &MAX_NAME]),
        row([&"MAX_ERROR_TEXT", &MAX_ERROR_TEXT]),
        row([&"LINEAR", &LINEAR]),
        row([&"SOCKET_VARIABLE", &SOCKET_VARIABLE]),
        row([&"SYSTEM_SOCKET", &SYSTEM_SOCKET]),
    ];
    equal("constants", block.rows(&["constant", "value"]), code);
}

fn encode(example: &Example) -> (Vec<u8>, Vec<String>) {
    let mut bytes = Vec::new();
    let lines = match &example.message {
        Message::Request(priority, request) => {
            request.encode(example.serial, *priority, &mut bytes).unwrap();
            annotate::request(request, &bytes)
        }
        Message::Reply(reply) => {
            reply.encode(example.serial, &mut bytes);
            annotate::reply(reply, &bytes)
        }
    };
    (bytes, lines)
}

/// What stands in the document is this example: its bytes decode to it, it encodes to its bytes, and what is said of
/// them is so.
fn check(example: &Example, shown: &[String]) -> Result<(), String> {
    let mut bytes = Vec::new();
    for word in shown.iter().flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace()) {
        bytes.push(u8::from_str_radix(word, 16).map_err(|_| format!("\"{word}\" is no byte"))?);
    }
    let mut framing = Framing::<u32>::default();
    let mut rest = bytes.as_slice();
    let mut descriptors = match &example.message {
        Message::Request(_, request) => 0..request.descriptors().into(),
        Message::Reply(_) => 0..0,
    };
    while !rest.is_empty() {
        let space = framing.space();
        let count = space.len().min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        framing.arrived(count, descriptors.by_ref());
        rest = &rest[count..];
    }
    let message =
        framing.next_message().map_err(|error| error.to_string())?.ok_or("it is not a whole message")?;
    if message.header.serial.get() != example.serial {
        return Err(format!("its serial is {}", message.header.serial));
    }
    match &example.message {
        Message::Request(priority, request) => {
            let decoded =
                Request::decode(&message.header, message.body).map_err(|error| error.to_string())?;
            if decoded != *request || message.header.priority != priority.number() {
                return Err(format!("it decodes to {decoded:?}"));
            }
        }
        Message::Reply(reply) => {
            let decoded = Reply::decode(&message.header, message.body).map_err(|error| error.to_string())?;
            if decoded != *reply {
                return Err(format!("it decodes to {decoded:?}"));
            }
        }
    }
    let (right, lines) = encode(example);
    if bytes != right {
        return Err("its value encodes to other bytes".into());
    }
    if shown != lines {
        return Err("the notes beside its bytes are wrong".into());
    }
    Ok(())
}

#[test]
fn every_example_is_exact() {
    let blocks = blocks(DOCUMENT);
    let mut wrong = String::new();
    for example in examples() {
        let title = format!("Example, {}:", example.title);
        let shown: Vec<_> = blocks.iter().filter(|block| block.title == title).collect();
        let result = match shown[..] {
            [Block { content: Content::Fence(lines), .. }] => check(&example, lines),
            _ => Err(format!("{} blocks stand below \"{title}\"", shown.len())),
        };
        if let Err(reason) = result {
            let right = encode(&example).1.join("\n");
            wrong += &format!("\n{title} {reason}. This is right:\n\n```hex\n{right}\n```\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let titles = blocks.iter().filter(|block| block.title.starts_with("Example, ")).count();
    assert_eq!(titles, examples().len(), "the document has an example that no test knows");
}

#[test]
fn every_kind_has_an_example() {
    let mut names = BTreeSet::new();
    for example in examples() {
        let name = match &example.message {
            Message::Request(_, request) => request.kind().name(),
            Message::Reply(reply) => reply_name(reply),
        };
        let side = matches!(example.message, Message::Request(..));
        assert!(example.title.contains(&format!("`{name}`")), "\"{}\" is of {name}", example.title);
        names.insert((side, name));
    }
    for kind in RequestKind::ALL {
        let reserved = *kind == RequestKind::Present;
        assert_eq!(names.contains(&(true, kind.name())), !reserved, "{kind}");
    }
    for (_, name) in REPLIES {
        assert!(names.contains(&(false, *name)), "{name}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let headings: Vec<_> = DOCUMENT
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"))
        .collect();
    let targets = DOCUMENT.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for target in targets {
        match target.strip_prefix('#') {
            Some(heading) => {
                let count = headings.iter().filter(|other| *other == heading).count();
                assert_eq!(count, 1, "headings for a link to {heading}");
            }
            None => {
                let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(target);
                assert!(file.exists(), "there is no {target} in docs/");
            }
        }
    }
}

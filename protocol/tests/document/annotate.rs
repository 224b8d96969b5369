//! A message's bytes as the document shows them: a line for each field, with its name and value behind.

use std::fmt::Write;

use blitd_protocol::reply::{Reply, Statistics};
use blitd_protocol::request::{Entry, Request};
use blitd_protocol::wire::{LAYOUTS, Layout};

/// The layout with this name.
pub(crate) fn layout(name: &str) -> Option<&'static Layout> {
    LAYOUTS.iter().find(|layout| layout.name == name)
}

/// A kind's name, `region_create`, as its layout's, `RegionCreate`.
pub(crate) fn camel(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// What a message is made of, in order.
enum Part {
    Fixed(String),
    Bytes(&'static str, usize),
}

fn request_parts(request: &Request<'_>) -> Vec<Part> {
    let mut parts = vec![Part::Fixed("Header".into()), Part::Fixed(camel(request.kind().name()))];
    match request {
        Request::Draw(draw) => parts.push(Part::Bytes("carried", draw.carried.len())),
        Request::RegionWrite { bytes, .. } => parts.push(Part::Bytes("carried", bytes.len())),
        Request::Batch(entries) => {
            for entry in entries {
                let (name, carried) = match entry {
                    Entry::Draw(draw) => ("Draw", draw.carried.len()),
                    Entry::Fill(_) => ("Fill", 0),
                    Entry::LayerConfigure(_) => ("LayerConfigure", 0),
                };
                let length = layout(name).map_or(0, |layout| layout.size) + carried;
                parts.extend([
                    Part::Fixed("Entry".into()),
                    Part::Fixed(name.into()),
                    Part::Bytes("carried", carried),
                    Part::Bytes("padding", length.next_multiple_of(8) - length),
                ]);
            }
        }
        _ => {}
    }
    parts
}

fn reply_parts(reply: &Reply<'_>) -> Vec<Part> {
    let mut parts = vec![Part::Fixed("Header".into())];
    let mut fixed = |name: &str, count: usize| {
        parts.extend((0..count).map(|_| Part::Fixed(name.into())));
    };
    match reply {
        Reply::Welcome(_) => fixed("Welcome", 1),
        Reply::Done(_) => fixed("Done", 1),
        Reply::Data(bytes) => parts.push(Part::Bytes("data", bytes.len())),
        Reply::Shown(_) => fixed("Shown", 1),
        Reply::Outputs(list) => {
            fixed("List", 1);
            fixed("OutputRecord", list.records.len());
        }
        Reply::Statistics(statistics) => {
            fixed("List", 1);
            match statistics {
                Statistics::Daemon(list) => fixed("DaemonRecord", list.records.len()),
                Statistics::Clients(list) => fixed("ClientRecord", list.records.len()),
                Statistics::Layers(list) => fixed("LayerRecord", list.records.len()),
                Statistics::Priorities(list) => fixed("PriorityRecord", list.records.len()),
            }
        }
        Reply::Token(_) => fixed("Token", 1),
        Reply::Claimed(_) => fixed("LayerRecord", 1),
        Reply::Refused(refusal) => {
            fixed("Refused", 1);
            parts.push(Part::Bytes("text", refusal.text.len()));
        }
        Reply::OutputsChanged => {}
    }
    parts
}

/// A request's bytes as the document shows them.
pub(crate) fn request(request: &Request<'_>, bytes: &[u8]) -> Vec<String> {
    annotate(&request_parts(request), bytes)
}

/// A reply's bytes as the document shows them.
pub(crate) fn reply(reply: &Reply<'_>, bytes: &[u8]) -> Vec<String> {
    annotate(&reply_parts(reply), bytes)
}

fn annotate(parts: &[Part], mut bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    for part in parts {
        let size = match part {
            Part::Fixed(name) => layout(name).map_or(0, |layout| layout.size),
            Part::Bytes(_, size) => *size,
        };
        let (these, rest) = bytes.split_at(size);
        bytes = rest;
        match part {
            Part::Fixed(name) => fields(name, "", these, &mut lines),
            Part::Bytes(label, 1..) => put(these, label, &mut lines),
            Part::Bytes(..) => {}
        }
    }
    assert!(bytes.is_empty(), "{} bytes belong to nothing", bytes.len());
    lines
}

fn fields(name: &str, prefix: &str, bytes: &[u8], lines: &mut Vec<String>) {
    for field in layout(name).expect("a layout's name").fields {
        let these = &bytes[field.offset..field.offset + field.size];
        let path = format!("{prefix}{}", field.name);
        let hexadecimal = name == "Fixed"
            || matches!(field.name, "kind" | "magic" | "fourcc" | "colour" | "background" | "changes");
        let number = these.iter().rev().take(8).fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        let reserved = field.name.starts_with("reserved");
        match field.kind {
            _ if reserved => put(these, &path, lines),
            "[u8; 32]" => {
                let text = String::from_utf8_lossy(these);
                put(these, &format!("{path} \"{}\"", text.trim_end_matches('\0')), lines);
            }
            "[u8; 16]" => put(these, &path, lines),
            "[Plane; 4]" => {
                for (index, plane) in these.chunks(field.size / 4).enumerate() {
                    let path = format!("{path}[{index}]");
                    if plane.iter().all(|&byte| byte == 0) && index > 0 {
                        put(plane, &path, lines);
                    } else {
                        fields("Plane", &format!("{path}."), plane, lines);
                    }
                }
            }
            "I32" => put(these, &format!("{path} {}", number as u32 as i32), lines),
            "u8" | "U16" | "U32" | "U64" if hexadecimal => {
                put(these, &format!("{path} {number:#0width$x}", width = 2 + 2 * field.size), lines);
            }
            "u8" | "U16" | "U32" | "U64" => put(these, &format!("{path} {number}"), lines),
            nested => fields(nested, &format!("{path}."), these, lines),
        }
    }
}

fn put(bytes: &[u8], label: &str, lines: &mut Vec<String>) {
    for (index, row) in bytes.chunks(16).enumerate() {
        let mut hex = String::new();
        for byte in row {
            let _ = write!(hex, "{byte:02x} ");
        }
        lines.push(if index == 0 { format!("{hex:<48} # {label}") } else { hex.trim_end().to_owned() });
    }
}

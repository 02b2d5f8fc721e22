//! Connections -> lines of `TracesData`.

use tapetum_model::{Connection, Loss, Role, Window};

use super::Lines;
use super::value::{Attributes, Line, comma, hex, long, number, raw, text};
use crate::span::EndFields as _;
use crate::{names, resource, span};

/// Writes the spans of the groups that were found.
pub(super) fn write(
    of: &Lines,
    rows: &[Connection],
    window: &Window,
    loss: &Loss,
    mut give: impl FnMut(u64, Vec<u8>),
) {
    let mut out = Line::new();
    let mut items = 0;
    for (_, chain) in of.groups.iter() {
        let mut open = false;
        for at in chain {
            if items > 0 && out.len() > of.line_bytes {
                end(&mut out, std::mem::take(&mut open));
                give(std::mem::take(&mut items), std::mem::take(&mut out));
            }
            if !open {
                begin(of, &rows[at], window, loss, &mut out);
                open = true;
            }
            write_span(of, &rows[at], &mut out);
            items += 1;
        }
        if open {
            raw(&mut out, "]}]}");
        }
    }
    if items > 0 {
        end(&mut out, false);
        give(items, out);
    }
}

fn end(out: &mut Line, in_group: bool) {
    if in_group {
        raw(out, "]}]}");
    }
    raw(out, "]}\n");
}

/// Begins the resource of a row's near end, and the line if it is the first.
fn begin(of: &Lines, row: &Connection, window: &Window, loss: &Loss, out: &mut Line) {
    if out.is_empty() {
        raw(out, "{\"resourceSpans\":[");
    }
    comma(out);
    raw(out, "{\"resource\":{\"attributes\":[");
    let entity = row.local.entity.as_deref();
    resource::of_near_end(&of.agent, entity, &mut |attr, value| {
        Attributes(out).named(names::parts(attr), value);
    });
    raw(out, "]},\"scopeSpans\":[{\"scope\":{\"name\":");
    text(out, &[names::SCOPE]);
    raw(out, ",\"version\":");
    text(out, &[&of.agent.version]);
    raw(out, ",\"attributes\":[");
    resource::of_scope(window, loss, &mut |name, value| {
        Attributes(out).int_named(name, value);
    });
    raw(out, "]},\"spans\":[");
}

fn write_span(of: &Lines, row: &Connection, out: &mut Line) {
    comma(out);
    raw(out, "{\"traceId\":");
    hex(out, &row.trace.0);
    raw(out, ",\"spanId\":");
    hex(out, &row.span.0);
    if let Some(parent) = &row.parent {
        raw(out, ",\"parentSpanId\":");
        hex(out, &parent.0);
    }
    raw(out, ",\"flags\":");
    number(out, span::flags(row));
    raw(out, ",\"name\":");
    match span::server_name(row.server()) {
        Some(name) => text(out, &["tcp ", name]),
        None => text(out, &["tcp :", &row.server().address.port().to_string()]),
    }
    raw(out, ",\"kind\":");
    number(out, if row.role == Role::Server { 2 } else { 3 });
    raw(out, ",\"startTimeUnixNano\":");
    long(out, row.start.0);
    raw(out, ",\"endTimeUnixNano\":");
    long(out, row.end.0);
    raw(out, ",\"attributes\":[");
    let mut attributes = Attributes(out);
    span::near(row, &mut attributes);
    span::far(row, &mut attributes);
    span::peer(span::answered_by(row).ip(), &mut attributes);
    span::own(row, &mut attributes);
    if of.community_id {
        span::community_id(row, &mut attributes);
    }
    out.push(b']');
    if let Some(link) = &row.link {
        raw(out, ",\"links\":[{\"traceId\":");
        hex(out, &link.trace.0);
        raw(out, ",\"spanId\":");
        hex(out, &link.span.0);
        raw(out, ",\"flags\":");
        number(out, span::LINK_FLAGS);
        raw(out, "}]");
    }
    if row.error.is_some() {
        raw(out, ",\"status\":{\"code\":2}");
    }
    out.push(b'}');
}

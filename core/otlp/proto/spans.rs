//! Connections -> the bytes of `ExportTraceServiceRequest`, grouped by near entity; or of
//! `ExportLogsServiceRequest`, whose fields have the same numbers down to the record.
//!
//! One pass finds the groups, a second writes them. A span is what repeats of its two ends, copied,
//! and what is its own; nothing is allocated a record. A message that would grow beyond its bound
//! ends, and the next one begins with the same resource.

use ::bytes::Bytes;
use tapetum_model::{Connection, Connections, Loss, Window};

use super::ends::{Ends, Ready};
use super::row::Row;
use super::wire::{Attributes, Nested, bytes, varint};
use super::{MESSAGE_BYTES_MAX, Message, finished};
use crate::groups::Groups;
use crate::span::EndFields as _;
use crate::{Agent, Form, names, resource, span};

/// What a span takes, until the first message says better.
const SPAN_BYTES: usize = 1024;
/// Room for tags and lengths.
const FRAME: usize = 64;
const RESOURCE_SPANS: u8 = 0x0a;
const RESOURCE: u8 = 0x0a;
const SCOPE_SPANS: u8 = 0x12;
const SCOPE: u8 = 0x0a;
const SPAN: u8 = 0x12;

/// Writes connections as spans.
pub struct SpanEncoder {
    agent: Agent,
    groups: Groups,
    ends: Ends,
    row: Row,
    /// The resource of the group, encoded.
    resource: Vec<u8>,
    /// The scope of the batch, encoded.
    scope: Vec<u8>,
    /// What a span took on average.
    span_bytes: usize,
    pub(super) message_bytes_max: usize,
    community_id: bool,
}

/// A message that is being written, and the group that is open in it.
struct Open {
    out: Vec<u8>,
    items: u64,
    group: Option<(Nested, Nested)>,
}

/// The parts of one span, ready to be put together.
struct Parts {
    near: Ready,
    far: Ready,
    answered_by: Option<Ready>,
    length: usize,
}

impl SpanEncoder {
    /// An encoder for what this agent sees.
    #[must_use]
    pub fn new(agent: Agent) -> Self {
        Self {
            agent,
            groups: Groups::default(),
            ends: Ends::default(),
            row: Row::new(Form::Span),
            resource: Vec::new(),
            scope: Vec::new(),
            span_bytes: SPAN_BYTES,
            message_bytes_max: MESSAGE_BYTES_MAX,
            community_id: false,
        }
    }

    /// What the rows become: the request is then one of logs.
    #[must_use]
    pub fn with_form(mut self, form: Form) -> Self {
        self.ends = Ends::new(form);
        self.row = Row::new(form);
        self
    }

    /// Whether each span says its Community ID.
    #[must_use]
    pub fn with_community_id(mut self, wanted: bool) -> Self {
        self.community_id = wanted;
        self
    }

    /// Writes the rows that are spans; answers how many are not.
    pub fn encode(
        &mut self,
        rows: &Connections,
        window: &Window,
        loss: &Loss,
        mut give: impl FnMut(Message),
    ) -> u64 {
        let mut groups = std::mem::take(&mut self.groups);
        groups.find(rows);
        self.ends.clear();
        self.write_scope(window, loss);
        let mut left = groups.spans();
        let mut message = self.open(left);
        for (spans, chain) in groups.iter() {
            for (written, at) in chain.enumerate() {
                let row = &rows[at];
                if written == 0 {
                    self.write_resource(row);
                }
                let span = self.prepare(row);
                if message.items > 0 && self.length_with(&message, &span) > self.message_bytes_max {
                    give(self.close(message));
                    message = self.open(left);
                }
                if message.group.is_none() {
                    self.begin(&mut message, spans - written);
                }
                self.append(&span, &mut message.out);
                message.items += 1;
                left -= 1;
            }
            message.end_group();
        }
        if message.items > 0 {
            give(self.close(message));
        }
        let filtered = rows.len() - groups.spans();
        self.groups = groups;
        filtered as u64
    }

    /// A request without an item, of traces or of logs, whose scope says a window and what was lost in it.
    /// Behind another request it says that of what stands there, and changes nothing of it.
    pub fn completeness(&mut self, window: &Window, loss: &Loss) -> Bytes {
        self.write_scope(window, loss);
        let mut of_agent = Vec::new();
        for (attr, value) in self.agent.attributes() {
            let out = &mut of_agent;
            Attributes { out, tag: 0x0a }.named(names::parts(&attr), &value);
        }
        let mut out = Vec::with_capacity(of_agent.len() + self.scope.len() + FRAME);
        let of_resource =
            Nested::begin(&mut out, RESOURCE_SPANS, of_agent.len() + self.scope.len());
        bytes(&mut out, RESOURCE, &of_agent);
        let of_scope = Nested::begin(&mut out, SCOPE_SPANS, self.scope.len());
        bytes(&mut out, SCOPE, &self.scope);
        of_scope.end(&mut out);
        of_resource.end(&mut out);
        finished(out)
    }

    fn open(&self, spans: usize) -> Open {
        let expected = spans * (self.span_bytes + self.span_bytes / 16) + FRAME * 64;
        let room = match spans {
            0 => 0,
            _ => expected.min(self.message_bytes_max + FRAME),
        };
        Open {
            out: Vec::with_capacity(room),
            items: 0,
            group: None,
        }
    }

    fn close(&mut self, mut message: Open) -> Message {
        message.end_group();
        self.span_bytes = message.out.len().div_ceil(message.items as usize);
        Message {
            items: message.items,
            bytes: finished(message.out),
        }
    }

    /// Begins the resource that was written last, for so many spans.
    fn begin(&self, message: &mut Open, spans: usize) {
        let expected = spans * self.span_bytes;
        let out = &mut message.out;
        let of_resource = Nested::begin(out, RESOURCE_SPANS, expected);
        bytes(out, RESOURCE, &self.resource);
        let of_scope = Nested::begin(out, SCOPE_SPANS, expected);
        bytes(out, SCOPE, &self.scope);
        message.group = Some((of_resource, of_scope));
    }

    /// What the message would take with one more span.
    fn length_with(&self, message: &Open, span: &Parts) -> usize {
        let head = match message.group {
            Some(_) => 0,
            None => self.resource.len() + self.scope.len(),
        };
        message.out.len() + head + span.length + FRAME
    }

    fn write_resource(&mut self, row: &Connection) {
        let out = &mut self.resource;
        out.clear();
        let entity = row.local.entity.as_deref();
        resource::of_near_end(&self.agent, entity, &mut |attr, value| {
            Attributes { out, tag: 0x0a }.named(names::parts(attr), value);
        });
    }

    fn write_scope(&mut self, window: &Window, loss: &Loss) {
        let out = &mut self.scope;
        out.clear();
        bytes(out, 0x0a, names::SCOPE.as_bytes());
        bytes(out, 0x12, self.agent.version.as_bytes());
        resource::of_scope(window, loss, &mut |name, value| {
            Attributes { out, tag: 0x1a }.int_named(name, value);
        });
    }

    fn prepare(&mut self, row: &Connection) -> Parts {
        if self.ends.is_full() {
            self.ends.clear();
        }
        let near = self.ends.near(row);
        let far = self.ends.far(row);
        self.row.fill(row, near.named || far.named);
        if self.community_id {
            span::community_id(row, &mut self.row);
        }
        let mut parts = Parts {
            near,
            far,
            answered_by: None,
            length: 0,
        };
        if let Some(address) = row.answered_by {
            parts.answered_by = Some(self.ends.peer(address.ip()));
        }
        parts.length = self.slices(&parts).iter().map(|slice| slice.len()).sum();
        parts
    }

    fn append(&self, parts: &Parts, out: &mut Vec<u8>) {
        out.push(SPAN);
        varint(out, parts.length as u64);
        for slice in self.slices(parts) {
            out.extend_from_slice(slice);
        }
    }

    fn slices(&self, parts: &Parts) -> [&[u8]; 4] {
        let (far, peer) = match &parts.answered_by {
            None => (self.ends.whole(&parts.far), &[][..]),
            Some(other) => (self.ends.without_peer(&parts.far), self.ends.whole(other)),
        };
        [self.row.as_slice(), self.ends.whole(&parts.near), far, peer]
    }
}

impl Open {
    fn end_group(&mut self) {
        if let Some((of_resource, of_scope)) = self.group.take() {
            of_scope.end(&mut self.out);
            of_resource.end(&mut self.out);
        }
    }
}

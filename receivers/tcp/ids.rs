//! The ids of spans: the one place where they are made. Two ends that never talk make ids of one trace,
//! because both know the connection's two initial sequence numbers, which survive address translation.
//!
//! With `isns` = client's ISN ‖ server's ISN, every number 4 bytes big-endian, and SipHash-2-4:
//!
//! | id | is |
//! |---|---|
//! | key | SipHash-128 of the text of `trace_key`, under a key of 16 zero bytes |
//! | trace `k` | SipHash-128 of `isns` for the first (`k` = 0), of `isns` ‖ `k` for the later ones |
//! | span `n` | the first 8 bytes of SipHash-128 of role (1 byte: 1 client, 2 server) ‖ `n` ‖ `isns` |
//!
//! `n` counts the spans of one end, through all its traces; trace `k` has those from `60 k` on. The first
//! of a client in a trace has no parent; the first of a server is the child of the client's first, and
//! the later ones of both are children of their own first. So nothing that one end has to know of the
//! other depends on when the other began to look.
//!
//! 64 bits of entropy go in: two of a billion connections share a trace with a probability of 3 %. An
//! id of all zeros, which OpenTelemetry forbids, becomes 1.

use siphasher::sip128::SipHasher24;
use tapetum_model::{Role, SpanId, SpanLink, TraceId};

/// The key of everybody who gives none.
const PUBLIC_KEY: &str = "tapetum";

/// Spans in a trace; then another begins, linked to the last.
pub(super) const SPANS_A_TRACE: u32 = 60;

/// The two initial sequence numbers of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Isns {
    pub(super) client: u32,
    pub(super) server: u32,
}

/// What a span is called and hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpanIds {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) parent: Option<SpanId>,
    /// The parent is the other end's.
    pub(super) remote_parent: bool,
    pub(super) link: Option<SpanLink>,
}

/// Makes ids under one key.
#[derive(Debug)]
pub(super) struct Ids {
    key: [u8; 16],
    random_key: [u8; 16],
    drawn: u64,
}

impl Ids {
    /// `random_key` is for what has no two ISNs, and differs from run to run.
    pub(super) fn new(trace_key: Option<&str>, random_key: [u8; 16]) -> Self {
        let text = trace_key.unwrap_or(PUBLIC_KEY);
        Self {
            key: hash(&[0; 16], text.as_bytes()),
            random_key,
            drawn: 0,
        }
    }

    /// The ids of the `n`th span of an end.
    pub(super) fn span(&self, isns: Isns, role: Role, n: u32) -> SpanIds {
        let part = n / SPANS_A_TRACE;
        let first = part * SPANS_A_TRACE;
        let (parent, remote_parent) = match role {
            _ if n != first => (Some(self.span_id(isns, role, first)), false),
            Role::Client => (None, false),
            Role::Server => (Some(self.span_id(isns, Role::Client, first)), true),
        };
        let link = (n == first && part > 0).then(|| SpanLink {
            trace: self.trace_id(isns, part - 1),
            span: self.span_id(isns, role, n - 1),
        });
        SpanIds {
            trace: self.trace_id(isns, part),
            span: self.span_id(isns, role, n),
            parent,
            remote_parent,
            link,
        }
    }

    /// Ids of a span without relatives: its other end has no way to know them.
    pub(super) fn alone(&mut self) -> SpanIds {
        self.drawn += 1;
        let mut drawn = [0; 9];
        drawn[1..].copy_from_slice(&self.drawn.to_be_bytes());
        let trace = hash(&self.random_key, &drawn);
        drawn[0] = 1;
        let span = hash(&self.random_key, &drawn);
        SpanIds {
            trace: TraceId(valid(trace)),
            span: SpanId(valid(eight(span))),
            parent: None,
            remote_parent: false,
            link: None,
        }
    }

    /// Stands in for the ISNs of a connection whose own could not be read: its spans are one trace, but
    /// only at this end.
    pub(super) fn stand_in(&self, cookie: u64, born_ns: u64) -> Isns {
        let mut socket = [0; 16];
        socket[..8].copy_from_slice(&cookie.to_be_bytes());
        socket[8..].copy_from_slice(&born_ns.to_be_bytes());
        let [a, b, c, d, e, f, g, h, ..] = hash(&self.random_key, &socket);
        Isns {
            client: u32::from_be_bytes([a, b, c, d]),
            server: u32::from_be_bytes([e, f, g, h]),
        }
    }

    fn trace_id(&self, isns: Isns, part: u32) -> TraceId {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&isns.bytes());
        bytes[8..].copy_from_slice(&part.to_be_bytes());
        let said = if part == 0 { &bytes[..8] } else { &bytes };
        TraceId(valid(hash(&self.key, said)))
    }

    fn span_id(&self, isns: Isns, role: Role, n: u32) -> SpanId {
        let role = match role {
            Role::Client => 1,
            Role::Server => 2,
        };
        let mut bytes = [role; 13];
        bytes[1..5].copy_from_slice(&n.to_be_bytes());
        bytes[5..].copy_from_slice(&isns.bytes());
        SpanId(valid(eight(hash(&self.key, &bytes))))
    }
}

impl Isns {
    fn bytes(self) -> [u8; 8] {
        (u64::from(self.client) << 32 | u64::from(self.server)).to_be_bytes()
    }
}

fn hash(key: &[u8; 16], bytes: &[u8]) -> [u8; 16] {
    SipHasher24::new_with_key(key).hash(bytes).as_bytes()
}

fn eight(bytes: [u8; 16]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = bytes;
    [a, b, c, d, e, f, g, h]
}

fn valid<const N: usize>(mut id: [u8; N]) -> [u8; N] {
    if id.iter().all(|byte| *byte == 0) {
        id[N - 1] = 1;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISNS: Isns = Isns {
        client: 0x0102_0304,
        server: 0x0506_0708,
    };

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn ids() -> Ids {
        Ids::new(None, [7; 16])
    }

    #[test]
    fn the_hash_is_the_published_one() {
        // The first vector of the reference implementation's 128-bit table.
        let key: [u8; 16] = std::array::from_fn(|at| at as u8);
        assert_eq!(hex(&hash(&key, &[])), "a3817f04ba25a8e66df67214c7550293");
    }

    /// Made by another implementation of SipHash from the table at the head of this file.
    #[test]
    fn ids_are_what_the_scheme_says() {
        let known = [
            (
                Role::Client,
                0,
                "aca8242560396ca927ac9edb4b7c535e",
                "980ae46d47b5cd43",
            ),
            (
                Role::Client,
                1,
                "aca8242560396ca927ac9edb4b7c535e",
                "ef90eaa577157f7a",
            ),
            (
                Role::Client,
                60,
                "539d6e1160a8e38a41a00b0ba11b80c0",
                "68d2116281fd4bab",
            ),
            (
                Role::Server,
                0,
                "aca8242560396ca927ac9edb4b7c535e",
                "143208036c084afd",
            ),
            (
                Role::Server,
                1,
                "aca8242560396ca927ac9edb4b7c535e",
                "a81695a5cd813540",
            ),
            (
                Role::Server,
                60,
                "539d6e1160a8e38a41a00b0ba11b80c0",
                "f4de767ae445c12a",
            ),
        ];
        for (role, n, trace, span) in known {
            let made = ids().span(ISNS, role, n);
            assert_eq!(
                (hex(&made.trace.0), hex(&made.span.0)),
                (trace.to_owned(), span.to_owned())
            );
        }
    }

    #[test]
    fn the_server_is_the_child_of_the_client_in_one_trace() {
        let client = ids().span(ISNS, Role::Client, 0);
        let server = ids().span(ISNS, Role::Server, 0);
        assert_eq!((client.parent, client.remote_parent), (None, false));
        assert_eq!(server.trace, client.trace);
        assert_eq!(
            (server.parent, server.remote_parent),
            (Some(client.span), true)
        );
        assert_ne!(server.span, client.span);
    }

    #[test]
    fn later_spans_are_children_of_the_first_of_their_end() {
        for role in [Role::Client, Role::Server] {
            let first = ids().span(ISNS, role, 0);
            for n in 1..SPANS_A_TRACE {
                let span = ids().span(ISNS, role, n);
                assert_eq!((span.trace, span.parent), (first.trace, Some(first.span)));
                assert_eq!((span.remote_parent, span.link), (false, None));
            }
        }
    }

    #[test]
    fn after_sixty_spans_a_new_trace_is_linked_to_the_last() {
        for role in [Role::Client, Role::Server] {
            let last = ids().span(ISNS, role, SPANS_A_TRACE - 1);
            let next = ids().span(ISNS, role, SPANS_A_TRACE);
            assert_ne!(next.trace, last.trace);
            assert_eq!(
                next.link,
                Some(SpanLink {
                    trace: last.trace,
                    span: last.span
                })
            );
            let client = ids().span(ISNS, Role::Client, SPANS_A_TRACE);
            assert_eq!(next.trace, client.trace);
            assert_eq!(next.remote_parent, role == Role::Server);
        }
    }

    #[test]
    fn the_key_of_the_fleet_changes_every_id() {
        let ours = Ids::new(Some("ours"), [7; 16]).span(ISNS, Role::Client, 0);
        let publics = ids().span(ISNS, Role::Client, 0);
        assert!(ours.trace != publics.trace && ours.span != publics.span);
        assert_eq!(
            Ids::new(Some(PUBLIC_KEY), [1; 16]).span(ISNS, Role::Client, 0),
            publics
        );
    }

    #[test]
    fn what_stands_alone_is_random_and_never_twice() {
        let mut some = ids();
        let mut others = Ids::new(None, [8; 16]);
        let drawn = [some.alone(), some.alone(), others.alone(), others.alone()];
        for (at, one) in drawn.iter().enumerate() {
            assert!(drawn[..at].iter().all(|other| other.trace != one.trace));
            assert_eq!(one.parent, None);
        }
        assert_eq!(some.stand_in(1, 2), some.stand_in(1, 2));
        assert_ne!(some.stand_in(1, 2), some.stand_in(1, 3));
    }

    #[test]
    fn no_id_is_all_zeros() {
        assert_eq!(valid([0; 8]), [0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(valid([0, 2]), [0, 2]);
    }
}

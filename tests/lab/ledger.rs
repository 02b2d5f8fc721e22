//! The agent's spans put in order by the end of the connection that they speak of.

use std::{collections::BTreeMap, net::SocketAddr};

use crate::{spans::Span, traffic::Count};

/// One end as its own socket sees it: kind of span, own address, other address.
type Key = (u64, SocketAddr, SocketAddr);

/// Every end that an agent spoke of, with its spans in the order of their starts.
#[derive(Clone, Debug, Default)]
pub struct Ledger(BTreeMap<Key, Vec<Span>>);

impl Ledger {
    /// Puts spans in order. A client is known by what it asked for, a server by whom it saw.
    #[must_use]
    pub fn of(spans: Vec<Span>) -> Self {
        let mut ends: BTreeMap<Key, Vec<Span>> = BTreeMap::new();
        for span in spans {
            let other = if span.kind == Span::CLIENT {
                "server"
            } else {
                "network.peer"
            };
            if let (Some(local), Some(other)) = (span.address("network.local"), span.address(other))
            {
                ends.entry((span.kind, local, other))
                    .or_default()
                    .push(span);
            }
        }
        for spans in ends.values_mut() {
            spans.sort_by_key(|span| (span.start_ns, span.end_ns));
        }
        Self(ends)
    }

    /// The spans of the connecting end that counted this.
    #[must_use]
    pub fn client(&self, count: &Count) -> &[Span] {
        self.end(Span::CLIENT, count)
    }

    /// The spans of the accepting end that counted this.
    #[must_use]
    pub fn server(&self, count: &Count) -> &[Span] {
        self.end(Span::SERVER, count)
    }

    fn end(&self, kind: u64, count: &Count) -> &[Span] {
        self.0
            .get(&(kind, count.local, count.peer))
            .map_or(&[], Vec::as_slice)
    }

    /// Every span towards or at this server address.
    #[must_use]
    pub fn of_server(&self, server: SocketAddr) -> Vec<&Span> {
        let spans = self.0.values().flatten();
        spans
            .filter(|span| span.address("server") == Some(server))
            .collect()
    }

    /// Every span whose own address is on this host.
    #[must_use]
    pub fn of_host(&self, host: std::net::IpAddr) -> Vec<&Span> {
        let ends = self
            .0
            .iter()
            .filter(|((_, local, _), _)| local.ip() == host);
        ends.flat_map(|(_, spans)| spans).collect()
    }

    /// Whether every one of these ends has its last span.
    #[must_use]
    pub fn has_ended(
        &self,
        clients: &BTreeMap<u64, Count>,
        servers: &BTreeMap<u64, Count>,
    ) -> bool {
        let over = |spans: &[Span]| spans.last().is_some_and(Span::is_last);
        clients.values().all(|count| over(self.client(count)))
            && servers.values().all(|count| over(self.server(count)))
    }
}

/// What an end's spans say of a measure, all periods together.
#[must_use]
pub fn total(spans: &[Span], measure: &str) -> u64 {
    spans.iter().map(|span| span.count(measure)).sum()
}

//! Who talks to whom, live: one line a client, server and port, drawn again and again.
//!
//! Bounded: beyond [`PAIRS_MAX`] pairs the one that was silent longest makes room.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use tapetum_model::{Connection, ErrorType, Flags, Role};

use super::words::{Bytes, Client, Micros, Server};

/// So many pairs are kept; a terminal shows fewer.
pub(super) const PAIRS_MAX: usize = 512;
/// Rates are over so many seconds: a sweep's bytes are spread over the time that it covers.
const SECONDS: usize = 10;
/// What the columns beside the two names take, an error's name included.
const NUMBERS: usize = 72;
/// A pair that was silent so long is not shown.
const SHOWN: Duration = Duration::from_secs(60);

/// The pairs of the last minute.
#[derive(Debug, Default)]
pub(super) struct Live {
    pairs: HashMap<(String, String), Pair>,
    /// Connections that were seen, for the head line.
    opened: u64,
    failed: u64,
}

/// One client, one server and port: what each of the two ends says, if both are here.
#[derive(Debug, Default)]
struct Pair {
    by_client: Seen,
    by_server: Seen,
    last: Duration,
}

/// What the reports of one side add up to.
#[derive(Debug, Default)]
struct Seen {
    rows: u64,
    active: i64,
    opened: u64,
    sent: Rate,
    received: Rate,
    rtt_us: u32,
    errors: u64,
    last_error: Option<ErrorType>,
}

/// Bytes by second, of the last ten.
#[derive(Debug, Default)]
struct Rate {
    bytes: [u64; SECONDS],
    second: u64,
}

impl Live {
    /// Adds what a row says, span or not.
    pub(super) fn add(&mut self, row: &Connection, now: Duration) {
        let key = (Client(row).to_string(), Server(row).to_string());
        if self.pairs.len() >= PAIRS_MAX && !self.pairs.contains_key(&key) {
            self.make_room();
        }
        let pair = self.pairs.entry(key).or_default();
        pair.last = now;
        // Sent and received as the client sees them, whoever reports.
        let (seen, sent, received) = match row.role {
            Role::Client => (
                &mut pair.by_client,
                row.delta.bytes_sent,
                row.delta.bytes_received,
            ),
            Role::Server => (
                &mut pair.by_server,
                row.delta.bytes_received,
                row.delta.bytes_sent,
            ),
        };
        seen.rows += 1;
        let active =
            i64::from(row.flags.has(Flags::ACTIVE)) - i64::from(row.flags.has(Flags::INACTIVE));
        seen.active = (seen.active + active).max(0);
        seen.opened += u64::from(row.flags.has(Flags::OPENED));
        seen.sent.add(sent, now);
        seen.received.add(received, now);
        if row.rtt_smoothed_us > 0 {
            seen.rtt_us = row.rtt_smoothed_us;
        }
        if let Some(error) = row.error {
            seen.errors += 1;
            seen.last_error = Some(error);
            self.failed += 1;
        }
        self.opened += u64::from(row.flags.has(Flags::OPENED) && row.role == Role::Client);
    }

    /// The table, for a terminal of this size.
    pub(super) fn draw(&mut self, now: Duration, columns: usize, lines: usize) -> String {
        let mut shown: Vec<Shown> = self
            .pairs
            .iter()
            .filter(|(_, pair)| now.saturating_sub(pair.last) < SHOWN || pair.seen().active > 0)
            .map(|(key, pair)| Shown::of(key, pair, now))
            .collect();
        shown.sort_by(|left, right| left.order().cmp(&right.order()));
        let fit = lines.saturating_sub(3).max(1);
        let mut text = format!(
            "tapetum  {} pairs  {} connections opened  {} errors\n\n",
            shown.len(),
            self.opened,
            self.failed
        );
        let names = columns.saturating_sub(NUMBERS).clamp(28, 90) / 2;
        let _ = writeln!(
            text,
            "{:names$}  {:names$}  {:>6} {:>6}  {:>9}  {:>9}  {:>8}  ERRORS",
            "CLIENT", "SERVER", "ACTIVE", "OPENED", "SENT/s", "RECV/s", "RTT"
        );
        for line in shown.iter().take(fit) {
            line.write(names, &mut text);
        }
        text.lines().fold(String::new(), |mut cut, line| {
            cut.extend(line.chars().take(columns));
            cut.push('\n');
            cut
        })
    }

    fn make_room(&mut self) {
        let silent = self.pairs.iter().min_by_key(|(_, pair)| pair.last);
        if let Some(key) = silent.map(|(key, _)| key.clone()) {
            self.pairs.remove(&key);
        }
    }
}

/// One line of the table.
struct Shown<'a> {
    client: &'a str,
    server: &'a str,
    seen: &'a Seen,
    sent: u64,
    received: u64,
}

impl<'a> Shown<'a> {
    fn of((client, server): &'a (String, String), pair: &'a Pair, now: Duration) -> Self {
        let seen = pair.seen();
        Self {
            client,
            server,
            seen,
            sent: seen.sent.per_second(now),
            received: seen.received.per_second(now),
        }
    }

    /// Errors first, then the busiest, then by name, so that lines do not jump about.
    fn order(&self) -> impl Ord {
        let busy = (self.sent + self.received).checked_ilog2();
        (
            std::cmp::Reverse(self.seen.errors > 0),
            std::cmp::Reverse(busy),
            self.client.to_owned(),
            self.server.to_owned(),
        )
    }

    fn write(&self, names: usize, text: &mut String) {
        let rtt = match self.seen.rtt_us {
            0 => "-".to_owned(),
            us => Micros(us).to_string(),
        };
        let _ = write!(
            text,
            "{:names$}  {:names$}  {:>6} {:>6}  {:>9}  {:>9}  {rtt:>8}",
            cut(self.client, names),
            cut(self.server, names),
            self.seen.active,
            self.seen.opened,
            Bytes(self.sent).to_string(),
            Bytes(self.received).to_string(),
        );
        if let Some(error) = self.seen.last_error {
            let _ = write!(text, "  {} {}", self.seen.errors, error.name());
        }
        text.push('\n');
    }
}

/// A name that fits. What is left out is marked, and a port stays whole: half of one is another port.
pub(super) fn cut(name: &str, width: usize) -> String {
    let letters = name.chars().count();
    if letters <= width {
        return name.to_owned();
    }
    let port = name.rfind(':').map_or("", |at| &name[at..]);
    let port = if port.len() + 2 > width { "" } else { port };
    let kept = name.chars().take(width - 1 - port.len());
    kept.chain(['…']).chain(port.chars()).collect()
}

impl Pair {
    /// The client's reports; the server's where the client is not watched.
    fn seen(&self) -> &Seen {
        if self.by_client.rows > 0 {
            &self.by_client
        } else {
            &self.by_server
        }
    }
}

impl Rate {
    fn add(&mut self, bytes: u64, now: Duration) {
        self.forget(now.as_secs());
        self.bytes[now.as_secs() as usize % SECONDS] += bytes;
    }

    fn per_second(&self, now: Duration) -> u64 {
        let first = (now.as_secs() + 1).saturating_sub(SECONDS as u64);
        let of_window = (first..=self.second).rev().take(SECONDS);
        of_window
            .map(|second| self.bytes[second as usize % SECONDS])
            .sum::<u64>()
            / SECONDS as u64
    }

    /// Empties the seconds between the last report and now.
    fn forget(&mut self, second: u64) {
        let gone = second.saturating_sub(self.second).min(SECONDS as u64);
        for back in 0..gone {
            self.bytes[(second - back) as usize % SECONDS] = 0;
        }
        self.second = self.second.max(second);
    }
}

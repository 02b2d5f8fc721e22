//! How names, sizes and times are written for a person.

use std::fmt::{self, Display, Write};
use std::net::SocketAddr;
use std::time::Duration;

use tapetum_model::{Connection, End, UnixNanos};

/// A name from outside: a process may call itself anything, so nothing of it may move a cursor.
pub(super) struct Tame<'a>(pub(super) &'a str);

/// Who connected: its name, else its address.
pub(super) struct Client<'a>(pub(super) &'a Connection);

/// Who was connected to, with the port; the name of the Service, else of the end, else its address.
pub(super) struct Server<'a>(pub(super) &'a Connection);

/// A number of bytes in three or four characters and a unit.
pub(super) struct Bytes(pub(super) u64);

/// A duration in microseconds likewise.
pub(super) struct Micros(pub(super) u32);

/// Date and time in UTC, to the millisecond.
pub(super) struct Time(pub(super) UnixNanos);

impl Display for Tame<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .try_for_each(|letter| to.write_char(if letter.is_control() { '?' } else { letter }))
    }
}

impl Display for Client<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.client();
        match name(end) {
            Some(name) => Tame(name).fmt(to),
            None => end.address.ip().fmt(to),
        }
    }
}

impl Display for Server<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.server();
        match end
            .service
            .as_ref()
            .map(|service| &*service.name)
            .or(name(end))
        {
            Some(name) => write!(to, "{}:{}", Tame(name), end.address.port()),
            None => end.address.fmt(to),
        }
    }
}

impl Display for Bytes {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        scaled(self.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], to)
    }
}

impl Display for Micros {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        scaled(u64::from(self.0), &["µs", "ms", "s", "ks"], to)
    }
}

impl Display for Time {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = Duration::from_nanos(self.0.0);
        let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let millis = since.subsec_millis();
        write!(
            to,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

/// What a person calls an end, if anything.
pub(super) fn name(end: &End) -> Option<&str> {
    end.entity.as_ref()?.name().map(|name| &**name)
}

/// The address that was asked for, where another one answered or a Service stands for it.
pub(super) fn virtual_address(row: &Connection) -> Option<SocketAddr> {
    let asked = row.server();
    (row.answered_by.is_some() || asked.service.is_some()).then_some(asked.address)
}

fn scaled(value: u64, units: &[&str], to: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut scaled = value as f64;
    let mut unit = 0;
    while scaled >= 999.95 && unit + 1 < units.len() {
        scaled /= 1_000.0;
        unit += 1;
    }
    match unit {
        0 => write!(to, "{value} {}", units[0]),
        _ => write!(to, "{scaled:.1} {}", units[unit]),
    }
}

/// The civil date of a day since 1970-01-01: years are counted from a first of March, so that the
/// leap day is the last of its year.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_civil() {
        let text = |seconds: u64| Time(UnixNanos(seconds * 1_000_000_000)).to_string();
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_782_400), "2000-02-29T00:00:00.000Z");
        assert_eq!(text(951_868_799), "2000-02-29T23:59:59.000Z");
        assert_eq!(text(4_107_542_400), "2100-03-01T00:00:00.000Z");
        assert_eq!(text(1_767_225_599), "2025-12-31T23:59:59.000Z");
    }

    #[test]
    fn sizes_are_short() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (999_960, "1.0 MB"),
            (1 << 40, "1.1 TB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert_eq!(Micros(180).to_string(), "180 µs");
        assert_eq!(Micros(u32::MAX).to_string(), "4.3 ks");
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(Tame("a\u{1b}[2Jb\n").to_string(), "a?[2Jb?");
    }
}

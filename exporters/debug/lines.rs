//! One line a connection span, one a metric point.

use std::fmt::{self, Display};

use tapetum_model::{Connection, Flags, Point, PointValue, Role, Value};
use tapetum_otlp::names;

use super::words::{Bytes, Client, Micros, Server, Tame, Time, virtual_address};

/// A connection span: time, who saw it, client → server (virtual address), state, payload, round
/// trip, error.
pub(super) struct SpanLine<'a>(pub(super) &'a Connection);

/// A metric point: time, name, attributes, value.
pub(super) struct PointLine<'a>(pub(super) &'a Point);

impl Display for SpanLine<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.0;
        let seen_by = match row.role {
            Role::Client => "client",
            Role::Server => "server",
        };
        write!(
            to,
            "{}  {seen_by}  {} → {}",
            Time(row.end),
            Client(row),
            Server(row)
        )?;
        if let Some(asked_for) = virtual_address(row) {
            write!(to, " ({})", asked_for.ip())?;
        }
        write!(to, "  {}", state(row))?;
        if let Some(reason) = row.end_reason {
            write!(to, " {}", reason.name())?;
        }
        let (sent, received) = (row.period.bytes_sent, row.period.bytes_received);
        write!(to, "  sent {}  received {}", Bytes(sent), Bytes(received))?;
        if row.rtt_smoothed_us > 0 {
            write!(to, "  rtt {}", Micros(row.rtt_smoothed_us))?;
        }
        if let Some(error) = row.error {
            write!(to, "  error {}", error.name())?;
        }
        writeln!(to)
    }
}

impl Display for PointLine<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point = self.0;
        let metric = names::metric(point.metric);
        write!(to, "{}  {}{{", Time(point.time), metric.name)?;
        for (at, (attr, value)) in point.attributes.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(to, "{comma}{}=", Tame(&names::attribute(attr)))?;
            match value {
                Value::Static(text) => write!(to, "{text}")?,
                Value::Text(text) => write!(to, "{}", Tame(text))?,
                Value::Int(number) => write!(to, "{number}")?,
            }
        }
        write!(to, "}}  ")?;
        let per_unit = f64::from(metric.per_unit);
        match &point.value {
            PointValue::Sum { cumulative, .. } if metric.per_unit == 1 => {
                write!(to, "{cumulative}")?
            }
            PointValue::Sum { cumulative, .. } => write!(to, "{}", *cumulative as f64 / per_unit)?,
            PointValue::Gauge(value) => write!(to, "{}", value / per_unit)?,
            PointValue::Histogram { cumulative, .. } if cumulative.count == 0 => {
                write!(to, "none")?
            }
            PointValue::Histogram { cumulative, .. } => {
                let (count, mean) = (cumulative.count, cumulative.sum / cumulative.count as f64);
                let (min, max) = (cumulative.min, cumulative.max);
                write!(to, "{count} of {min:.6} to {max:.6}, mean {mean:.6}")?;
            }
            PointValue::Ended => return writeln!(to, "ended"),
        }
        match metric.unit {
            "" => writeln!(to),
            unit => writeln!(to, " {unit}"),
        }
    }
}

fn state(row: &Connection) -> &'static str {
    if row.flags.has(Flags::FAILED) {
        "failed"
    } else if row.flags.has(Flags::CLOSED) {
        "closed"
    } else {
        "open"
    }
}

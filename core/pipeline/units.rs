//! Durations, sizes and rates as a person writes them: `250ms`, `10s`, `64KiB`, `4MB`, `5%`.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// A duration out of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub std::time::Duration);

/// A number of bytes out of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A share out of the file, between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(pub f64);

/// What does not read as the unit that is expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: write for example {example}")]
pub struct UnitError {
    text: String,
    what: &'static str,
    example: &'static str,
}

const DURATIONS: [(&str, u64); 4] = [
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
const SIZES: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

impl Duration {
    /// Reads `250ms`, `10s`, `5m`, `1h`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let nanos = scaled(text, &DURATIONS).ok_or_else(|| UnitError {
            text: text.to_owned(),
            what: "duration",
            example: "250ms, 10s, 5m or 1h",
        })?;
        Ok(Self(std::time::Duration::from_nanos(nanos)))
    }
}

impl Size {
    /// Reads `64KiB`, `16MiB`, `1GiB`, `4MB`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let bytes = scaled(text, &SIZES).ok_or_else(|| UnitError {
            text: text.to_owned(),
            what: "size",
            example: "64KiB, 16MiB, 1GiB or 4MB",
        })?;
        Ok(Self(bytes))
    }
}

impl Rate {
    /// Reads `5%`, `0.1%`, `100%`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        text.strip_suffix('%')
            .filter(|number| number.starts_with(|first: char| first.is_ascii_digit()))
            .and_then(|number| number.parse::<f64>().ok())
            .filter(|percent| (0.0..=100.0).contains(percent))
            .map(|percent| Self(percent / 100.0))
            .ok_or_else(|| UnitError {
                text: text.to_owned(),
                what: "rate",
                example: "5% or 0.1%, up to 100%",
            })
    }
}

/// `<integer><unit>`; `None` if it is not, or is too large.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, factor) = SIZES[..3]
            .iter()
            .rev()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .unwrap_or(&SIZES[6]);
        write!(to, "{}{name}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_person_writes() {
        assert_eq!(Duration::parse("250ms").unwrap().0.as_millis(), 250);
        assert_eq!(Duration::parse("1h").unwrap().0.as_secs(), 3600);
        assert_eq!(Size::parse("64KiB").unwrap(), Size(65_536));
        assert_eq!(Size::parse("4MB").unwrap(), Size(4_000_000));
        assert_eq!(Size(256 << 20).to_string(), "256MiB");
        assert_eq!(Rate::parse("5%").unwrap(), Rate(0.05));
        assert_eq!(Rate::parse("100%").unwrap(), Rate(1.0));
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "10 s",
            "99999999999999999h",
            "1d",
        ] {
            assert!(Duration::parse(text).is_err(), "{text}");
        }
        for text in ["", "10", "KiB", "1kib", "99999999999GiB"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
        for text in ["", "5", "%", "-1%", "101%", "NaN%", "5 %", "+5%"] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }
}

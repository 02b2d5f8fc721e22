//! Reads the API's time stamps.

use tapetum_model::UnixNanos;

const SECONDS_A_DAY: u64 = 86_400;

/// `2026-11-24T14:00:00Z`, with or without a fraction, as the API server writes it: always in UTC.
pub(crate) fn parse(text: &str) -> Option<UnixNanos> {
    let text = text.strip_suffix('Z')?;
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = three(date, '-')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [hour, minute, second] = three(time, ':')?;
    let plausible = (1970..=2500).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !plausible {
        return None;
    }
    let seconds = days(year, month, day) * SECONDS_A_DAY + hour * 3_600 + minute * 60 + second;
    Some(UnixNanos(seconds * 1_000_000_000 + nanos(fraction)?))
}

fn three(text: &str, between: char) -> Option<[u64; 3]> {
    let mut parts = text.split(between).map(|part| part.parse().ok());
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

fn nanos(fraction: &str) -> Option<u64> {
    let mut nanos = 0;
    let mut unit = 100_000_000;
    for byte in fraction.bytes().take(9) {
        if !byte.is_ascii_digit() {
            return None;
        }
        nanos += u64::from(byte - b'0') * unit;
        unit /= 10;
    }
    Some(nanos)
}

/// Days since 1970-01-01: years begin in March, so that the leap day is their last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_what_date_says() {
        let second = |text| parse(text).map(|at| at.0 / 1_000_000_000);
        assert_eq!(second("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(second("2024-02-29T12:34:56Z"), Some(1_709_210_096));
        assert_eq!(second("2026-11-24T14:00:00Z"), Some(1_795_528_800));
        assert_eq!(
            parse("2026-11-24T14:00:00.25Z"),
            Some(UnixNanos(1_795_528_800_250_000_000))
        );
    }

    #[test]
    fn what_is_no_stamp_is_none() {
        for text in [
            "",
            "now",
            "2026-11-24",
            "2026-13-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

//! The headers that a file names; what of them comes out of other files is read again when those change.

use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tapetum_pipeline::{Renewal, Settings};

use super::config::Config;

/// Headers of every request, marked as secrets.
pub(super) struct Headers {
    values: HeaderMap,
    renewals: Vec<(HeaderName, Renewal)>,
    /// Monotonic; when the files were last asked.
    asked: Option<Duration>,
}

/// Names that are the protocols' own.
const RESERVED: [&str; 10] = [
    "te",
    "content-type",
    "content-encoding",
    "content-length",
    "accept-encoding",
    "transfer-encoding",
    "trailer",
    "host",
    "user-agent",
    "connection",
];

/// A token that was replaced is used this soon: those of Kubernetes are replaced a fifth of their
/// life before their end.
const ASK_EVERY: Duration = Duration::from_secs(10);

impl Headers {
    pub(super) fn of(config: &Config, settings: &Settings) -> Result<Self, String> {
        let mut headers = Self {
            values: HeaderMap::new(),
            renewals: Vec::new(),
            asked: None,
        };
        for (name, value) in &config.headers {
            let (key, value) = header(name, value)?;
            if let Some(renewal) = settings.renewal(&["headers", name]) {
                headers.renewals.push((key.clone(), renewal));
            }
            headers.values.insert(key, value);
        }
        Ok(headers)
    }

    /// Those of now; the files behind them are asked now and then.
    pub(super) fn at(&mut self, now: Duration) -> &HeaderMap {
        let is_due = |asked: Duration| now.saturating_sub(asked) >= ASK_EVERY;
        if self.asked.is_none_or(is_due) {
            self.renew(now);
        }
        &self.values
    }

    /// Asks the files; whether anything is another than before.
    pub(super) fn renew(&mut self, now: Duration) -> bool {
        self.asked = Some(now);
        let mut changed = false;
        for (name, renewal) in &self.renewals {
            // A file that is being replaced, or is none any more: what was good stays.
            let Some(Ok((_, value))) = renewal().map(|value| header(name.as_str(), &value)) else {
                continue;
            };
            if self.values.get(name) != Some(&value) {
                tracing::info!(header = %name, "the value was read again");
                self.values.insert(name.clone(), value);
                changed = true;
            }
        }
        changed
    }
}

/// One of them, if it can be one.
pub(super) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let key: HeaderName = name
        .to_ascii_lowercase()
        .parse()
        .map_err(|_| format!("`{name}` is not a header name"))?;
    if RESERVED.contains(&key.as_str()) || key.as_str().starts_with("grpc-") {
        return Err(format!("`{name}` belongs to the protocol: leave it out"));
    }
    let mut value: HeaderValue = value
        .trim_end_matches(['\r', '\n'])
        .parse()
        .map_err(|_| "the value has characters that a header cannot have".to_owned())?;
    value.set_sensitive(true);
    Ok((key, value))
}

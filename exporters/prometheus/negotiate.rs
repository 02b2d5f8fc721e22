//! Which of the formats a scraper prefers, and whether it takes gzip: `Accept` headers with weights.

/// An exposition format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The text format 0.0.4, which everything reads.
    Text,
    /// OpenMetrics 0.0.1: as 1.0, under the version that older scrapers know.
    OpenMetrics0,
    /// OpenMetrics 1.0.
    OpenMetrics1,
    /// Delimited `io.prometheus.client.MetricFamily` messages: the only one with native histograms.
    Protobuf,
}

impl Format {
    /// The one that an `Accept` header prefers; what it lists first where it has no preference. Text
    /// where it names nothing that we have.
    #[must_use]
    pub fn preferred(accept: &str) -> Self {
        let mut best = (0.0, Self::Text);
        for range in accept.split(',') {
            let (weight, format) = (weight(range), Self::named(range));
            if let Some(format) = format
                && weight > best.0
            {
                best = (weight, format);
            }
        }
        best.1
    }

    /// Its `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics0 => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            Self::OpenMetrics1 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// Whether it is one of the OpenMetrics text formats.
    pub(super) fn is_open_metrics(self) -> bool {
        matches!(self, Self::OpenMetrics0 | Self::OpenMetrics1)
    }

    /// The format that a media range names, if we have it.
    fn named(range: &str) -> Option<Self> {
        let kind = range.split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            "application/vnd.google.protobuf" => {
                let is = |key, expected| parameter(range, key).is_none_or(|it| it == expected);
                (is("proto", "io.prometheus.client.MetricFamily") && is("encoding", "delimited"))
                    .then_some(Self::Protobuf)
            }
            "application/openmetrics-text" => match parameter(range, "version") {
                None | Some("1.0.0") => Some(Self::OpenMetrics1),
                Some("0.0.1") => Some(Self::OpenMetrics0),
                Some(_) => None,
            },
            "text/plain" => parameter(range, "version")
                .is_none_or(|version| version == "0.0.4")
                .then_some(Self::Text),
            "text/*" | "*/*" => Some(Self::Text),
            _ => None,
        }
    }
}

/// Whether an `Accept-Encoding` header takes gzip.
pub(super) fn takes_gzip(accept: &str) -> bool {
    let of = |name: &str| {
        let mut codings = accept.split(',');
        codings.find(|coding| coding.split(';').next().is_some_and(|it| it.trim() == name))
    };
    of("gzip")
        .or_else(|| of("*"))
        .is_some_and(|coding| weight(coding) > 0.0)
}

/// The `q` of a range: 1 where it has none, 0 where it cannot be read.
fn weight(range: &str) -> f64 {
    match parameter(range, "q") {
        None => 1.0,
        Some(weight) => weight
            .parse()
            .ok()
            .filter(|it| (0.0..=1.0).contains(it))
            .unwrap_or(0.0),
    }
}

fn parameter<'a>(range: &'a str, key: &str) -> Option<&'a str> {
    let mut parameters = range
        .split(';')
        .skip(1)
        .filter_map(|pair| pair.split_once('='));
    parameters
        .find(|(name, _)| name.trim().eq_ignore_ascii_case(key))
        .map(|(_, value)| value.trim().trim_matches('"'))
}

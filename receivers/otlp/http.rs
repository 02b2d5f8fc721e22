//! One request of OTLP over HTTP, whatever transport it came by: protobuf or JSON in, the same out.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use tapetum_model::OtlpSignal;
use tapetum_otlp::{JsonError, from_json};
use tokio::time::timeout;

use super::body::{Gathered, Incoming};
use super::budget::Share;
use super::decompress::{Encoding, READABLE};
use super::intake::Intake;
use super::refusal::{Refusal, Why};
use super::status;

/// A request that is being answered.
pub(super) struct Exchange<'a> {
    intake: &'a Intake,
    peer: IpAddr,
}

/// How a request is written, and so its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Protobuf,
    Json,
}

impl Format {
    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        })
    }

    /// Of a `content-type`, whatever parameters it has.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let name = value.split(';').next().unwrap_or_default().trim();
        match &*name.to_ascii_lowercase() {
            "application/x-protobuf" | "application/protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }
}

fn signal(path: &str) -> Option<OtlpSignal> {
    match path {
        "/v1/traces" => Some(OtlpSignal::Traces),
        "/v1/metrics" => Some(OtlpSignal::Metrics),
        "/v1/logs" => Some(OtlpSignal::Logs),
        _ => None,
    }
}

impl<'a> Exchange<'a> {
    pub(super) fn new(intake: &'a Intake, peer: IpAddr) -> Self {
        Self { intake, peer }
    }

    /// Takes the request and says what became of it.
    pub(super) async fn answer(self, head: &Parts, body: Incoming) -> Response<Bytes> {
        let format = Format::of(&head.headers);
        match self.take(head, format, body).await {
            Ok(()) => {
                self.intake.counts.taken();
                taken(format.unwrap_or(Format::Protobuf))
            }
            Err(refusal) => {
                self.intake.counts.refused(refusal.why);
                // Who did not say how it reads is a person, most likely.
                refused(&refusal, format.unwrap_or(Format::Json))
            }
        }
    }

    async fn take(
        &self,
        head: &Parts,
        format: Option<Format>,
        body: Incoming,
    ) -> Result<(), Refusal> {
        let _place = self.intake.admit()?;
        let signal = signal(head.uri.path()).ok_or_else(|| {
            let message = "there are only /v1/traces, /v1/metrics and /v1/logs";
            Refusal::new(Why::Unknown, message)
        })?;
        if head.method != Method::POST {
            return Err(Refusal::new(Why::Method, "only POST is answered here"));
        }
        let format = format.ok_or_else(|| {
            let message = "send `content-type: application/x-protobuf` or `application/json`";
            Refusal::new(Why::Unsupported, message)
        })?;
        let encoding = match head.headers.get(CONTENT_ENCODING) {
            Some(name) => Encoding::named(name.to_str().unwrap_or("?"))?,
            None => Encoding::Identity,
        };
        let time = self.intake.timeout;
        let receiving = timeout(time, self.receive(&head.headers, body));
        let (body, share) = receiving.await.unwrap_or_else(|_| {
            let message = format!("the request did not come within {time:?}");
            Err(Refusal::new(Why::Slow, message))
        })?;
        let (body, share) = encoding.open(body, share, self.intake).await?;
        let (message, share) = match format {
            Format::Protobuf => (body, share),
            Format::Json => self.of_json(signal, &body)?,
        };
        let taken = self.intake.take(signal, message, self.peer).await;
        // Until here the bytes are counted as being received, from here as waiting in a queue.
        drop(share);
        taken
    }

    async fn receive(
        &self,
        headers: &HeaderMap,
        mut body: Incoming,
    ) -> Result<(Bytes, Share), Refusal> {
        let mut gathered = Gathered::new(&self.intake.bodies, self.intake.message_max);
        let length = headers.get(CONTENT_LENGTH).map(HeaderValue::to_str);
        if let Some(Ok(length)) = length {
            // What is no number was refused by the transport.
            gathered.expect(length.parse().unwrap_or(u64::MAX))?;
        }
        while let Some(piece) = body.piece().await {
            gathered.push(piece?)?;
        }
        gathered.finish()
    }

    fn of_json(&self, signal: OtlpSignal, json: &[u8]) -> Result<(Bytes, Share), Refusal> {
        let most = self.intake.message_max;
        let mut share = self.intake.bodies.share();
        if !share.take(json.len() as u64) {
            return Err(Refusal::crowded());
        }
        let length = usize::try_from(most).unwrap_or(usize::MAX);
        let message = from_json(signal, json, length).map_err(|why| match why {
            JsonError::TooLong { .. } => Refusal::too_large(most),
            malformed @ JsonError::Malformed { .. } => {
                Refusal::new(Why::Malformed, malformed.to_string())
            }
        })?;
        let more = (message.capacity() as u64).saturating_sub(share.bytes());
        match share.take(more) {
            true => Ok((message.into(), share)),
            false => Err(Refusal::crowded()),
        }
    }
}

fn taken(format: Format) -> Response<Bytes> {
    // A response in which nothing is said: all of it was taken.
    let body = match format {
        Format::Protobuf => Bytes::new(),
        Format::Json => Bytes::from_static(b"{}"),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, format.content_type());
    response
}

/// What a refusal is in HTTP, with a `google.rpc.Status` as its body.
fn refused(refusal: &Refusal, format: Format) -> Response<Bytes> {
    let body = match format {
        Format::Protobuf => status::protobuf(refusal),
        Format::Json => status::json(refusal).into_bytes(),
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = match refusal.why {
        Why::Malformed | Why::Gone => StatusCode::BAD_REQUEST,
        Why::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Why::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Why::Unknown => StatusCode::NOT_FOUND,
        Why::Method => StatusCode::METHOD_NOT_ALLOWED,
        Why::Slow => StatusCode::REQUEST_TIMEOUT,
        Why::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
        Why::Crowded => StatusCode::SERVICE_UNAVAILABLE,
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, format.content_type());
    if let Some(after) = refusal.why.after() {
        headers.insert(RETRY_AFTER, whole_seconds(after).into());
    }
    match refusal.why {
        Why::Method => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        Why::Unsupported => {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(READABLE));
        }
        _ => {}
    }
    response
}

/// The field has no fractions, and to come too early is of no use.
fn whole_seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

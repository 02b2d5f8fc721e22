//! One call of gRPC: five bytes and a message in, a few bytes and a status out.

use std::net::IpAddr;

use bytes::{Buf as _, Bytes};
use h2::RecvStream;
use h2::server::SendResponse;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use tapetum_model::OtlpSignal;
use tokio::time::timeout;

use super::body::{Gathered, Incoming};
use super::budget::Share;
use super::decompress::{Encoding, READABLE};
use super::intake::Intake;
use super::refusal::{Refusal, Why};
use super::status;

/// A call that is being answered.
pub(super) struct Call<'a> {
    intake: &'a Intake,
    peer: IpAddr,
}

/// A message as it came.
struct Received {
    compressed: bool,
    message: Bytes,
    share: Share,
}

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const PREFIX: usize = 5;
/// A response without a field: taken, nothing refused.
const TAKEN: &[u8] = &[0; PREFIX];

/// Whether a request means to be a call.
pub(super) fn is_grpc(request: &Request<RecvStream>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(GRPC.as_bytes()))
}

fn signal(path: &str) -> Option<OtlpSignal> {
    match path.strip_prefix("/opentelemetry.proto.collector.")? {
        "trace.v1.TraceService/Export" => Some(OtlpSignal::Traces),
        "metrics.v1.MetricsService/Export" => Some(OtlpSignal::Metrics),
        "logs.v1.LogsService/Export" => Some(OtlpSignal::Logs),
        _ => None,
    }
}

impl<'a> Call<'a> {
    pub(super) fn new(intake: &'a Intake, peer: IpAddr) -> Self {
        Self { intake, peer }
    }

    /// Takes the call and says what became of it.
    pub(super) async fn answer(self, request: Request<RecvStream>, answer: SendResponse<Bytes>) {
        match self.take(request).await {
            Ok(()) => {
                self.intake.counts.taken();
                accept(answer);
            }
            Err(refusal) => {
                self.intake.counts.refused(refusal.why);
                refuse(answer, &refusal);
            }
        }
    }

    async fn take(&self, request: Request<RecvStream>) -> Result<(), Refusal> {
        let _place = self.intake.admit()?;
        let (head, body) = request.into_parts();
        let signal = signal(head.uri.path()).filter(|_| head.method == Method::POST);
        let signal = signal.ok_or_else(|| {
            let path = head.uri.path();
            Refusal::new(
                Why::Unknown,
                format!("there is no `{path}`: only the Export calls of OTLP"),
            )
        })?;
        let encoding = encoding(&head.headers)?;
        let receiving = self.receive(Incoming::H2(body));
        let time = self.intake.timeout;
        let Received {
            compressed,
            message,
            share,
        } = timeout(time, receiving).await.unwrap_or_else(|_| {
            let message = format!("the request did not come within {time:?}");
            Err(Refusal::new(Why::Slow, message))
        })?;
        let (message, share) = match (compressed, encoding) {
            (false, _) => (message, share),
            (true, Encoding::Identity) => {
                let message = "a message is marked as compressed without a `grpc-encoding`";
                return Err(Refusal::new(Why::Malformed, message));
            }
            (true, encoding) => encoding.open(message, share, self.intake).await?,
        };
        let taken = self.intake.take(signal, message, self.peer).await;
        // Until here the bytes are counted as being received, from here as waiting in a queue.
        drop(share);
        taken
    }

    /// The prefix and the message behind it.
    async fn receive(&self, mut body: Incoming) -> Result<Received, Refusal> {
        let intake = self.intake;
        let mut gathered = Gathered::new(&intake.bodies, intake.message_max);
        let (mut prefix, mut known) = ([0; PREFIX], 0);
        while let Some(piece) = body.piece().await {
            let mut piece = piece?;
            let missing = (PREFIX - known).min(piece.len());
            if missing > 0 {
                piece.copy_to_slice(&mut prefix[known..known + missing]);
                known += missing;
                if known == PREFIX {
                    gathered.expect(u64::from((&prefix[1..]).get_u32()))?;
                }
            }
            gathered.push(piece)?;
        }
        if known < PREFIX {
            let message = "the request ends before its message";
            return Err(Refusal::new(Why::Malformed, message));
        }
        let (message, share) = gathered.finish()?;
        Ok(Received {
            compressed: prefix[0] != 0,
            message,
            share,
        })
    }
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    match headers.get("grpc-encoding") {
        Some(name) => Encoding::named(name.to_str().unwrap_or("?")),
        None => Ok(Encoding::Identity),
    }
}

/// Failing to answer means that the sender is gone: it sends again, and to whom is not known here.
fn accept(mut answer: SendResponse<Bytes>) {
    let mut head = Response::new(());
    head.headers_mut().insert(CONTENT_TYPE, GRPC);
    let Ok(mut body) = answer.send_response(head, false) else {
        return;
    };
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    if body.send_data(Bytes::from_static(TAKEN), false).is_ok() {
        let _ = body.send_trailers(trailers);
    }
}

fn refuse(mut answer: SendResponse<Bytes>, refusal: &Refusal) {
    let mut head = Response::new(());
    *head.status_mut() = StatusCode::OK;
    let fields = head.headers_mut();
    fields.insert(CONTENT_TYPE, GRPC);
    fields.insert("grpc-status", refusal.why.code().into());
    let text = [
        ("grpc-message", status::percent(&refusal.message)),
        (
            "grpc-status-details-bin",
            status::base64(&status::protobuf(refusal)),
        ),
    ];
    for (name, value) in text {
        if let Ok(value) = HeaderValue::from_str(&value) {
            fields.insert(name, value);
        }
    }
    if refusal.why == Why::Unsupported {
        fields.insert("grpc-accept-encoding", HeaderValue::from_static(READABLE));
    }
    let _ = answer.send_response(head, true);
}

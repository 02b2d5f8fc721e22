//! Requests to the API server, and what its answers mean.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde::Deserialize;
use tokio::time::timeout;

use crate::counts::Counts;
use crate::watch::Source;

/// An answer that is no stream is at most so long: a page of 500 of the largest objects that are usual.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// An error's text is cut there.
const STATUS_BYTES_MAX: usize = 64 << 10;

/// A way to the API server.
#[derive(Clone)]
pub(crate) struct Api {
    client: Arc<ArcSwap<Client>>,
    source: Source,
    counts: Arc<Counts>,
    answer: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// Nobody there, or the connection ended.
    #[error("cannot reach the API server: {0}")]
    Unreachable(String),
    /// The resource version is too old: a new list is needed.
    #[error("the API server has forgotten where the watch was")]
    Expired,
    /// It says no.
    #[error("the API server does not allow it: {0}")]
    Forbidden(String),
    /// There is no such thing.
    #[error("the API server does not know it")]
    Missing,
    /// It asks to come later.
    #[error("the API server is busy: {message}")]
    Busy {
        /// Not before.
        after: Option<Duration>,
        /// In its words.
        message: String,
    },
    /// Something else.
    #[error("the API server answered {0}")]
    Other(String),
}

/// An answer that comes bit by bit.
pub(crate) struct Stream {
    body: Body,
    counts: Arc<Counts>,
}

/// The API server's own description of a failure.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    code: u16,
    reason: String,
    message: String,
}

impl Api {
    /// # Errors
    /// No configuration, or one that cannot be used.
    pub(crate) async fn connect(
        source: &Source,
        counts: Arc<Counts>,
        answer: Duration,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            client: Arc::new(ArcSwap::from_pointee(client(source).await?)),
            source: source.clone(),
            counts,
            answer,
        })
    }

    /// Reads the configuration and the certificates anew; what it has stays where that fails.
    pub(crate) async fn renew(&self) {
        if let Ok(client) = client(&self.source).await {
            self.client.store(Arc::new(client));
        }
    }

    /// A whole answer.
    pub(crate) async fn read(&self, path: &str, accept: &str) -> Result<Vec<u8>, ApiError> {
        let mut stream = self.open(path, accept).await?;
        let mut whole = Vec::new();
        loop {
            let part = timeout(self.answer, stream.next()).await;
            let Some(part) = part.map_err(|_| slow())?? else {
                return Ok(whole);
            };
            if whole.len() + part.len() > ANSWER_BYTES_MAX {
                self.counts.failure();
                return Err(ApiError::Other(format!(
                    "with more than {ANSWER_BYTES_MAX} bytes"
                )));
            }
            whole.extend_from_slice(&part);
        }
    }

    /// The beginning of an answer.
    pub(crate) async fn open(&self, path: &str, accept: &str) -> Result<Stream, ApiError> {
        self.counts.request();
        let opened = self.opened(path, accept).await;
        if opened.is_err() {
            self.counts.failure();
        }
        opened
    }

    async fn opened(&self, path: &str, accept: &str) -> Result<Stream, ApiError> {
        let request = Request::get(path)
            .header(http::header::ACCEPT, accept)
            .body(Body::empty())
            .map_err(|why| ApiError::Other(why.to_string()))?;
        let client = Client::clone(&self.client.load());
        let response = timeout(self.answer, client.send(request)).await;
        let response = response
            .map_err(|_| slow())?
            .map_err(|why| ApiError::Unreachable(causes(&why)))?;
        if response.status().is_success() {
            return Ok(Stream {
                body: response.into_body(),
                counts: Arc::clone(&self.counts),
            });
        }
        Err(self.failed(response).await)
    }

    async fn failed(&self, response: Response<Body>) -> ApiError {
        let code = response.status();
        let after = response.headers().get(http::header::RETRY_AFTER);
        let after = after.and_then(|after| after.to_str().ok()?.parse().ok());
        let mut text = Vec::new();
        let mut stream = Stream {
            body: response.into_body(),
            counts: Arc::clone(&self.counts),
        };
        while let Ok(Ok(Some(part))) = timeout(self.answer, stream.next()).await {
            if text.len() + part.len() > STATUS_BYTES_MAX {
                break;
            }
            text.extend_from_slice(&part);
        }
        let mut status: Status = serde_json::from_slice(&text).unwrap_or_default();
        status.code = code.as_u16();
        status.error(after.map(Duration::from_secs))
    }
}

impl Stream {
    /// The next part; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(why)) => return Err(ApiError::Unreachable(causes(&why))),
                Some(Ok(frame)) => {
                    if let Ok(part) = frame.into_data() {
                        self.counts.received(part.len());
                        return Ok(Some(part));
                    }
                }
            }
        }
    }
}

impl Status {
    pub(crate) fn error(self, after: Option<Duration>) -> ApiError {
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let message = match self.message.as_str() {
            "" => code.to_string(),
            _ => self.message,
        };
        match code {
            StatusCode::GONE => ApiError::Expired,
            _ if self.reason == "Expired" => ApiError::Expired,
            StatusCode::FORBIDDEN => ApiError::Forbidden(message),
            // A token that is too old: the next one is read from its file.
            StatusCode::UNAUTHORIZED => ApiError::Unreachable(message),
            StatusCode::NOT_FOUND => ApiError::Missing,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                ApiError::Busy { after, message }
            }
            _ => ApiError::Other(format!("{code}: {message}")),
        }
    }
}

async fn client(source: &Source) -> Result<Client, ApiError> {
    let unusable = |why: &dyn std::error::Error| ApiError::Unreachable(causes(why));
    let config = match source {
        Source::Inferred => Config::infer().await.map_err(|why| unusable(&why))?,
        Source::File(path) => {
            let file = Kubeconfig::read_from(path).map_err(|why| unusable(&why))?;
            let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
            config.map_err(|why| unusable(&why))?
        }
        Source::Url(url) => Config::new(url.parse().map_err(|why| unusable(&why))?),
    };
    Client::try_from(config).map_err(|why| unusable(&why))
}

fn slow() -> ApiError {
    ApiError::Unreachable("no answer in time".to_owned())
}

/// An error and what caused it: the outermost alone says only that something failed.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

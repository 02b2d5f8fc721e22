//! One POST over HTTP/1.1, and the connection that is kept for the next.

mod answer;
mod body;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT,
};
use http::{Method, Request};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tapetum_model::Signal;
use tokio::task::AbortHandle;

pub(super) use self::answer::Answer;
use self::body::Outgoing;
use super::call::{ANSWER_MAX, Call};
use super::connect::{ConnectError, Connector};

/// A server, and the connection to it while there is one.
pub(super) struct Channel {
    connector: Connector,
    headers: HeaderMap,
    connection: Option<Connection>,
}

/// A living connection; dropping it ends its task.
struct Connection {
    requests: SendRequest<Outgoing>,
    task: AbortHandle,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the connection to {0} broke: {1}")]
    Broken(String, hyper::Error),
    #[error("the answer of {0} is too long to be one")]
    TooLong(String),
    #[error("a request cannot be made: {0}")]
    Request(#[from] http::Error),
}

impl Channel {
    pub(super) fn new(connector: Connector, agent: String) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-protobuf"),
        );
        // What is answered is short.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for (name, value) in [
            (USER_AGENT, agent),
            (HOST, connector.endpoint.authority.to_string()),
        ] {
            if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) {
                headers.insert(name, value);
            }
        }
        Self {
            connector,
            headers,
            connection: None,
        }
    }

    /// Gives the connection up.
    pub(super) fn close(&mut self) {
        self.connection = None;
    }

    /// Posts. A kept connection that the server has closed meanwhile is replaced at once, where nothing of the
    /// request was sent.
    pub(super) async fn call(&mut self, call: &Call<'_>) -> Result<Answer, CallError> {
        let was_connected = self.connection.is_some();
        match self.attempt(call).await {
            Err(CallError::Broken(_, why)) if was_connected && why.is_canceled() => {
                self.close();
                self.attempt(call).await
            }
            other => other,
        }
        .inspect_err(|_| self.close())
    }

    async fn attempt(&mut self, call: &Call<'_>) -> Result<Answer, CallError> {
        let request = self.request(call)?;
        let authority = || self.connector.endpoint.authority.to_string();
        let broken = |why| CallError::Broken(authority(), why);
        if self.connection.as_ref().is_some_and(Connection::has_ended) {
            self.connection = None;
        }
        let connection = match &mut self.connection {
            Some(living) => living,
            none => none.insert(Connection::open(&self.connector).await?),
        };
        connection.requests.ready().await.map_err(broken)?;
        let answer = connection.requests.send_request(request).await;
        let (head, body) = answer.map_err(broken)?.into_parts();
        let body = match read(body).await {
            Ok(Some(body)) => body,
            Ok(None) => return Err(CallError::TooLong(authority())),
            Err(why) => return Err(broken(why)),
        };
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    fn request(&self, call: &Call<'_>) -> Result<Request<Outgoing>, http::Error> {
        let signal = match call.signal {
            Signal::Points | Signal::Metrics => "metrics",
            Signal::Logs => "logs",
            Signal::Connections | Signal::Traces => "traces",
        };
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/v1/{signal}", self.connector.endpoint.path))
            .body(Outgoing::new(call.body.clone()))?;
        let headers = request.headers_mut();
        headers.extend(self.headers.clone());
        headers.extend(call.headers.clone());
        if call.encoding != "identity" {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(call.encoding));
        }
        Ok(request)
    }
}

impl Connection {
    async fn open(connector: &Connector) -> Result<Self, CallError> {
        let stream = TokioIo::new(connector.connect().await?);
        let authority = connector.endpoint.authority.to_string();
        let (requests, connection) = http1::handshake(stream)
            .await
            .map_err(|why| CallError::Broken(authority, why))?;
        let task = tokio::spawn(async move {
            if let Err(why) = connection.await {
                tracing::debug!("the connection ended: {why}");
            }
        });
        Ok(Self {
            requests,
            task: task.abort_handle(),
        })
    }

    fn has_ended(&self) -> bool {
        self.requests.is_closed()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The body of an answer; `None`: it is too long.
async fn read(mut body: Incoming) -> Result<Option<Bytes>, hyper::Error> {
    let mut whole = BytesMut::new();
    while let Some(frame) =
        std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context)).await
    {
        if let Ok(data) = frame?.into_data() {
            if whole.len() + data.len() > ANSWER_MAX {
                return Ok(None);
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(Some(whole.freeze()))
}

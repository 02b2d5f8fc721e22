//! One gRPC call over HTTP/2, and the connection that it goes over.

mod answer;

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::{self, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, Reason, RecvStream};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use http::{Method, Request, Version};
use tapetum_model::Signal;
use tokio::task::AbortHandle;

pub(super) use self::answer::Answer;
use super::call::{ANSWER_MAX, Call};
use super::compress;
use super::connect::{ConnectError, Connector};

/// A call that waits this long asks whether the connection still lives, and gives it as long again.
const KEEPALIVE: Duration = Duration::from_secs(4);
/// A server, and the connection to it while there is one.
pub(super) struct Channel {
    connector: Connector,
    headers: HeaderMap,
    connection: Option<Connection>,
}

/// A living connection; dropping it ends its task.
struct Connection {
    requests: SendRequest<Bytes>,
    ping: PingPong,
    task: AbortHandle,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{0} does not speak HTTP/2: {1}")]
    Handshake(String, h2::Error),
    #[error("the connection to {0} ended: {1}")]
    Unsent(String, h2::Error),
    #[error("the connection to {0} broke: {1}")]
    Broken(String, h2::Error),
    #[error("the connection to {0} is dead: no answer to a ping")]
    Dead(String),
    #[error("the answer of {0} is too long to be one")]
    TooLong(String),
    #[error("a request cannot be made: {0}")]
    Request(#[from] http::Error),
}

impl Channel {
    pub(super) fn new(connector: Connector, agent: String) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(
            "grpc-accept-encoding",
            HeaderValue::from_static(compress::READABLE),
        );
        if let Ok(agent) = HeaderValue::from_maybe_shared(Bytes::from(agent)) {
            headers.insert(USER_AGENT, agent);
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

    /// Calls. A connection that ended since the last call (a server that goes away says so) is
    /// replaced at once, and a request that the server surely did not look at is sent again.
    pub(super) async fn call(&mut self, call: &Call<'_>) -> Result<Answer, CallError> {
        let was_connected = self.connection.is_some();
        match self.attempt(call).await {
            Err(why) if was_connected && why.is_unprocessed() => {
                self.close();
                self.attempt(call).await
            }
            other => other,
        }
        .inspect_err(|_| self.close())
    }

    async fn attempt(&mut self, call: &Call<'_>) -> Result<Answer, CallError> {
        let request = self.request(call)?;
        let authority = self.connector.endpoint.authority.to_string();
        let unsent = |why| CallError::Unsent(authority.clone(), why);
        let broken = |why| CallError::Broken(authority.clone(), why);
        let connection = match &mut self.connection {
            Some(living) => living,
            none => none.insert(Connection::open(&self.connector).await?),
        };
        let mut requests = connection.requests.clone().ready().await.map_err(unsent)?;
        let (answer, mut body) = requests.send_request(request, false).map_err(unsent)?;
        let mut prefix = BytesMut::with_capacity(5);
        prefix.put_u8(u8::from(call.encoding != "identity"));
        prefix.put_u32(call.body.len() as u32);
        body.send_data(prefix.freeze(), false).map_err(broken)?;
        let mut pieces = call.body.iter().cloned().peekable();
        while let Some(piece) = pieces.next() {
            let is_last = pieces.peek().is_none();
            body.send_data(piece, is_last).map_err(broken)?;
        }
        connection.watch(&authority, answer).await
    }

    fn request(&self, call: &Call<'_>) -> Result<Request<()>, http::Error> {
        let service = match call.signal {
            Signal::Points | Signal::Metrics => "metrics.v1.MetricsService",
            Signal::Logs => "logs.v1.LogsService",
            Signal::Connections | Signal::Traces => "trace.v1.TraceService",
        };
        let path = format!("/opentelemetry.proto.collector.{service}/Export");
        let uri = http::Uri::builder()
            .scheme(self.connector.endpoint.scheme())
            .authority(self.connector.endpoint.authority.clone())
            .path_and_query(path)
            .build()?;
        let mut request = Request::builder()
            .method(Method::POST)
            .version(Version::HTTP_2)
            .uri(uri)
            .header("grpc-timeout", timeout_field(call.timeout))
            .header("grpc-encoding", call.encoding)
            .body(())?;
        request.headers_mut().extend(self.headers.clone());
        request.headers_mut().extend(call.headers.clone());
        Ok(request)
    }
}

impl Connection {
    async fn open(connector: &Connector) -> Result<Self, CallError> {
        let authority = || connector.endpoint.authority.to_string();
        let stream = connector.connect().await?;
        let (requests, mut connection) = client::Builder::new()
            .enable_push(false)
            .handshake(stream)
            .await
            .map_err(|why| CallError::Handshake(authority(), why))?;
        let Some(ping) = connection.ping_pong() else {
            unreachable!("it is taken once a connection")
        };
        let task = tokio::spawn(async move {
            if let Err(why) = connection.await {
                tracing::debug!("the connection ended: {why}");
            }
        });
        Ok(Self {
            requests,
            ping,
            task: task.abort_handle(),
        })
    }

    /// Waits for the answer, and asks for a sign of life where it takes long.
    async fn watch(
        &mut self,
        authority: &str,
        answer: ResponseFuture,
    ) -> Result<Answer, CallError> {
        let read = read(authority, answer);
        tokio::pin!(read);
        loop {
            if let Ok(answer) = tokio::time::timeout(KEEPALIVE, &mut read).await {
                return answer;
            }
            let ping = self.ping.ping(Ping::opaque());
            tokio::select! {
                answer = &mut read => return answer,
                // An error of the ping itself ends the answer too, if it is one of the connection.
                pong = tokio::time::timeout(KEEPALIVE, ping) => if pong.is_err() {
                    return Err(CallError::Dead(authority.to_owned()));
                }
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(authority: &str, answer: ResponseFuture) -> Result<Answer, CallError> {
    let broken = |why| CallError::Broken(authority.to_owned(), why);
    let (head, mut stream) = answer.await.map_err(broken)?.into_parts();
    let body = read_body(authority, &mut stream).await?;
    let trailers = match stream.trailers().await {
        Ok(trailers) => trailers.unwrap_or_default(),
        // A server may stop reading what it has answered already.
        Err(why) if why.reason() == Some(Reason::NO_ERROR) => HeaderMap::new(),
        Err(why) => return Err(broken(why)),
    };
    Ok(Answer {
        http: head.status,
        headers: head.headers,
        body,
        trailers,
    })
}

async fn read_body(authority: &str, stream: &mut RecvStream) -> Result<Bytes, CallError> {
    let mut body = BytesMut::new();
    while let Some(data) = stream.data().await {
        let data = match data {
            Ok(data) => data,
            Err(why) if why.reason() == Some(Reason::NO_ERROR) => break,
            Err(why) => return Err(CallError::Broken(authority.to_owned(), why)),
        };
        if body.len() + data.len() > ANSWER_MAX {
            return Err(CallError::TooLong(authority.to_owned()));
        }
        body.extend_from_slice(&data);
        // The window is given back; that it cannot be means that the stream is over.
        let _ = stream.flow_control().release_capacity(data.len());
    }
    Ok(body.freeze())
}

impl CallError {
    /// Whether the server surely did not look at the request.
    fn is_unprocessed(&self) -> bool {
        match self {
            Self::Unsent(..) => true,
            Self::Broken(_, why) => {
                why.is_go_away() || why.reason() == Some(Reason::REFUSED_STREAM)
            }
            _ => false,
        }
    }
}

/// At most eight digits and a unit.
fn timeout_field(timeout: Duration) -> String {
    let millis = timeout.as_millis();
    if millis < 100_000_000 {
        format!("{millis}m")
    } else {
        format!("{}S", timeout.as_secs().min(99_999_999))
    }
}

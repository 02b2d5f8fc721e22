//! An OTLP server for the tests: it answers each request with the next line of a script.

use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// Answers a message and status 0.
    Message(Vec<u8>),
    /// The same, compressed as named.
    Compressed(&'static str, Vec<u8>),
    /// Answers a status with trailers.
    Status(u32, Vec<(&'static str, String)>),
    /// Answers like a proxy that does not know gRPC.
    Http(u16),
    /// Never answers.
    Hang,
    /// Resets the stream.
    Reset(Reason),
    /// Answers, and ends the connection in order.
    GoAway,
    /// Closes the socket.
    Drop,
    /// Keeps the socket open and never looks at it again.
    Deaf,
}

/// How a connection ends.
enum End {
    InOrder,
    AtOnce,
    Never,
}

/// A request as it came.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    /// Decompressed, without the prefix.
    pub(super) message: Vec<u8>,
    /// Which connection it came over.
    pub(super) connection: usize,
}

/// What the tests see of it.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) endpoint: String,
    script: Arc<Mutex<VecDeque<Reply>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Listens on a free port; after its script it answers "yes".
    pub(super) async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        Self::listen(script, None).await
    }

    /// The same by TLS.
    pub(super) async fn start_tls(
        script: impl IntoIterator<Item = Reply>,
        tls: tapetum_tls::Server,
    ) -> Self {
        Self::listen(script, Some(Arc::new(tls))).await
    }

    async fn listen(
        script: impl IntoIterator<Item = Reply>,
        tls: Option<Arc<tapetum_tls::Server>>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            endpoint: match &tls {
                None => format!("http://{}", listener.local_addr().unwrap()),
                Some(_) => format!(
                    "https://localhost:{}",
                    listener.local_addr().unwrap().port()
                ),
            },
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            seen: Arc::default(),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (serving, tls) = (serving.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serving.serve(stream, connection).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serving.serve(stream, connection).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    /// The requests so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin, at: usize) {
        let Ok(mut connection) = h2::server::handshake(stream).await else {
            return;
        };
        // The connection only moves while it is accepting: requests are answered beside it.
        let (tell, mut told) = mpsc::channel(1);
        loop {
            tokio::select! {
                request = connection.accept() => {
                    let Some(Ok((request, answer))) = request else { return };
                    tokio::spawn(self.clone().handle(request, answer, at, tell.clone()));
                }
                end = told.recv() => match end {
                    Some(End::InOrder) => connection.graceful_shutdown(),
                    Some(End::Never) => std::future::pending().await,
                    _ => return,
                }
            }
        }
    }

    async fn handle(
        self,
        request: Request<RecvStream>,
        answer: SendResponse<Bytes>,
        at: usize,
        end: mpsc::Sender<End>,
    ) {
        self.take(request, at).await;
        let reply = self.script.lock().unwrap().pop_front();
        match reply.unwrap_or(Reply::Message(Vec::new())) {
            Reply::Hang => std::future::pending().await,
            Reply::Drop => end.send(End::AtOnce).await.unwrap(),
            Reply::Deaf => {
                end.send(End::Never).await.unwrap();
                // To drop the answer would be one.
                std::future::pending().await
            }
            Reply::GoAway => {
                end.send(End::InOrder).await.unwrap();
                respond(answer, Reply::Message(Vec::new()));
            }
            reply => respond(answer, reply),
        }
    }

    async fn take(&self, request: Request<RecvStream>, connection: usize) {
        let (head, mut body) = request.into_parts();
        let mut bytes = Vec::new();
        while let Some(Ok(data)) = body.data().await {
            bytes.extend_from_slice(&data);
            let _ = body.flow_control().release_capacity(data.len());
        }
        let encoding = head.headers["grpc-encoding"].to_str().unwrap().to_owned();
        let mut message = Vec::new();
        let length = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
        assert_eq!(bytes.len(), 5 + length, "the prefix has another length");
        assert_eq!(bytes[0], u8::from(encoding != "identity"));
        match &*encoding {
            "gzip" => {
                let mut decoder = flate2::read::GzDecoder::new(&bytes[5..]);
                decoder.read_to_end(&mut message).unwrap();
            }
            "zstd" => message = zstd::bulk::decompress(&bytes[5..], 64 << 20).unwrap(),
            _ => message.extend_from_slice(&bytes[5..]),
        }
        self.seen.lock().unwrap().push(Seen {
            path: head.uri.path().to_owned(),
            headers: head.headers,
            message,
            connection,
        });
    }
}

fn respond(mut answer: SendResponse<Bytes>, reply: Reply) {
    let head = Response::builder().header("content-type", "application/grpc");
    let (head, message, status, trailers) = match reply {
        Reply::Message(message) => (head, Some((0, message)), 0, Vec::new()),
        Reply::Compressed(encoding, message) => {
            let head = head.header("grpc-encoding", encoding);
            (head, Some((1, message)), 0, Vec::new())
        }
        Reply::Status(status, trailers) => (head, None, status, trailers),
        Reply::Http(status) => {
            let head = Response::builder().status(status);
            answer.send_response(head.body(()).unwrap(), true).unwrap();
            return;
        }
        Reply::Reset(reason) => return answer.send_reset(reason),
        Reply::Hang | Reply::Drop | Reply::Deaf | Reply::GoAway => unreachable!("not an answer"),
    };
    let mut fields = HeaderMap::new();
    fields.insert("grpc-status", status.into());
    for (name, value) in trailers {
        fields.insert(name, value.parse().unwrap());
    }
    let Some((flag, message)) = message else {
        // Without a message the status comes with the headers.
        let mut response = head.body(()).unwrap();
        response.headers_mut().extend(fields);
        answer.send_response(response, true).unwrap();
        return;
    };
    let mut stream = answer.send_response(head.body(()).unwrap(), false).unwrap();
    let mut body = vec![flag];
    body.extend((message.len() as u32).to_be_bytes());
    body.extend(message);
    stream.send_data(body.into(), false).unwrap();
    stream.send_trailers(fields).unwrap();
}

//! The server: one request a connection, bounded in connections, in time and in scrapes at once, so
//! that a scraper that is slow, silent or many holds little memory and nobody else.

use std::convert::Infallible;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, VARY,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tapetum_model::Payload;
use tapetum_otlp::Agent;
use tapetum_pipeline::{Scrape, Stop};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::negotiate::{Format, takes_gzip};
use super::page::Page;

/// Connections beyond this wait in the kernel until one ends.
pub(super) const CONNECTIONS_MAX: usize = 32;

/// Scrapes beyond this wait for one to end before they collect.
pub(super) const SCRAPES_MAX: usize = 2;

/// So long a client may take to say what it wants.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// So long a connection may live: a scraper that waits longer has given up itself.
const CONNECTION_TIME: Duration = Duration::from_secs(30);

/// After an accept that failed (no descriptors left, as a rule) the next one waits so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Compressed pieces are handed out when they are about this long.
const PIECE_BYTES: usize = 16 << 10;

/// What every request needs.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) agent: Agent,
    pub(super) created: bool,
    pub(super) scrape: Scrape,
    scrapes: Arc<Semaphore>,
}

/// A response that is made while it is sent.
#[derive(Default)]
struct Reply {
    text: Option<&'static str>,
    page: Option<Page>,
    gzip: Option<GzEncoder<Vec<u8>>>,
    /// Held until the page is sent.
    _scrape: Option<OwnedSemaphorePermit>,
}

impl Site {
    pub(super) fn new(agent: Agent, created: bool, scrape: Scrape) -> Self {
        Self {
            agent,
            created,
            scrape,
            scrapes: Arc::new(Semaphore::new(SCRAPES_MAX)),
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Reply>, Infallible> {
        let reading = matches!(*request.method(), Method::GET | Method::HEAD);
        let mut response = match (request.uri().path(), reading) {
            ("/metrics", true) => return Ok(self.page(&request).await),
            ("/metrics", false) => {
                let mut response = Response::new(Reply::of("only GET is answered here\n"));
                *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                set(&mut response, ALLOW, "GET, HEAD");
                response
            }
            _ => {
                let mut response = Response::new(Reply::of("metrics are at /metrics\n"));
                *response.status_mut() = StatusCode::NOT_FOUND;
                response
            }
        };
        set(&mut response, CONTENT_TYPE, "text/plain; charset=utf-8");
        Ok(response)
    }

    async fn page(self, request: &Request<Incoming>) -> Response<Reply> {
        let format = Format::preferred(&header(request, &ACCEPT));
        let gzip = takes_gzip(&header(request, &ACCEPT_ENCODING));
        // Nothing closes this semaphore: without a permit there is no scrape to wait for.
        let scrape = Arc::clone(&self.scrapes).acquire_owned().await.ok();
        let batches = self.scrape.collect().await;
        let points = batches.into_iter().flat_map(|batch| match batch.payload {
            Payload::Points(points) => points,
            Payload::Records(_) | Payload::Otlp(_) => Vec::new(),
        });
        let page = Page::new(points, self.agent, format, self.created);
        let content_type = page.content_type();
        let mut response = Response::new(Reply {
            text: None,
            page: Some(page),
            gzip: gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast())),
            _scrape: scrape,
        });
        set(&mut response, CONTENT_TYPE, content_type);
        set(&mut response, VARY, "accept, accept-encoding");
        if gzip {
            set(&mut response, CONTENT_ENCODING, "gzip");
        }
        response
    }
}

/// Serves until `stop`; what is being sent then is given up.
pub(super) async fn serve(listener: TcpListener, site: Site, mut stop: Stop) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            match listener.accept().await {
                Ok((stream, _)) => Some((stream, place)),
                Err(why) => {
                    tracing::debug!(%why, "a scraper's connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    None
                }
            }
        };
        tokio::select! {
            () = stop.wait() => return,
            accepted = accepted => {
                if let Some((stream, place)) = accepted {
                    connections.spawn(converse(stream, site.clone(), place));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, site: Site, place: OwnedSemaphorePermit) {
    let service = service_fn(move |request| site.clone().answer(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIME)
        .max_buf_size(64 << 10)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_TIME, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(why)) => tracing::debug!(%why, "a scrape ended early"),
        Err(_) => tracing::debug!("a scraper was too slow"),
    }
    drop(place);
}

fn header(request: &Request<Incoming>, name: &HeaderName) -> String {
    let values = request.headers().get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .collect::<Vec<_>>()
        .join(",")
}

fn set(response: &mut Response<Reply>, name: HeaderName, value: &'static str) {
    let value = hyper::header::HeaderValue::from_static(value);
    response.headers_mut().insert(name, value);
}

impl Reply {
    fn of(text: &'static str) -> Self {
        Self {
            text: Some(text),
            ..Self::default()
        }
    }

    /// The next piece, compressed if that was asked for; writing into memory does not fail.
    fn piece(&mut self) -> Option<Vec<u8>> {
        if let Some(text) = self.text.take() {
            return Some(text.as_bytes().to_vec());
        }
        let page = self.page.as_mut()?;
        let Some(mut gzip) = self.gzip.take() else {
            return page.next();
        };
        for piece in page {
            gzip.write_all(&piece).ok()?;
            if gzip.get_ref().len() >= PIECE_BYTES {
                let ready = std::mem::take(gzip.get_mut());
                self.gzip = Some(gzip);
                return Some(ready);
            }
        }
        self.page = None;
        gzip.finish().ok()
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(
            self.get_mut()
                .piece()
                .map(|piece| Ok(Frame::data(piece.into()))),
        )
    }
}

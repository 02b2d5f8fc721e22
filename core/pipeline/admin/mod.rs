//! The admin server: `/healthz`, `/readyz`, `/metrics`, on the loopback unless the file says else; and `/tap`, for
//! the loopback only, because it shows what flows.

mod tap;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::debug;

use self::tap::Reply;

use crate::engine::State;

/// More at once would only be somebody's mistake: they wait.
const CONNECTIONS_MAX: usize = 16;
/// Who has not asked by then is disconnected.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);

const PLAIN: &str = "text/plain; charset=utf-8";

/// Serves until it is aborted.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: it passes.
                debug!(%error, "the admin server cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let response = answer(&request, &state, peer.ip());
                async move { Ok::<_, Infallible>(response) }
            });
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                debug!(%error, "an admin connection ended early");
            }
            drop(place);
        });
    }
}

fn answer(request: &Request<Incoming>, state: &State, peer: IpAddr) -> Response<Reply> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = page(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET\n");
        refusal
            .headers_mut()
            .insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match request.uri().path() {
        "/healthz" => page(StatusCode::OK, PLAIN, "alive\n"),
        "/readyz" => {
            let readiness = state.health();
            let status = if readiness.ready {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            page(status, PLAIN, readiness.text)
        }
        "/metrics" => {
            let accept = request.headers().get(ACCEPT);
            match state.rendered(accept.and_then(|accept| accept.to_str().ok())) {
                Some((content_type, body)) => page(StatusCode::OK, &content_type, body),
                None => missing(),
            }
        }
        path => match path.strip_prefix("/tap") {
            Some(edge) if edge.is_empty() || edge.starts_with('/') => {
                tap::answer(edge.trim_start_matches('/'), state, peer)
            }
            _ => missing(),
        },
    }
}

fn missing() -> Response<Reply> {
    let pages = "here are /healthz, /readyz, /metrics and /tap\n";
    page(StatusCode::NOT_FOUND, PLAIN, pages)
}

fn page(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Response<Reply> {
    let mut response = Response::new(Reply::Page(Some(body.into())));
    *response.status_mut() = status;
    if let Ok(content_type) = content_type.parse() {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    response
}

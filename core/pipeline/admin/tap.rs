//! `/tap/EDGE`: what passes between two components, a line a batch, until the watcher goes away.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame};
use hyper::{Response, StatusCode};

use super::{PLAIN, page};
use crate::engine::State;
use crate::engine::TapLine;
use crate::tap::{WATCHERS_MAX, Wanted, Watch};

/// The body of an answer.
pub(super) enum Reply {
    /// All of it.
    Page(Option<Bytes>),
    /// As long as somebody watches.
    Live(Box<Watch>, TapLine),
}

/// Without an edge: which there are.
pub(super) fn answer(edge: &str, state: &State, peer: IpAddr) -> Response<Reply> {
    if !peer.to_canonical().is_loopback() {
        let text = "what flows is shown on the loopback only\n";
        return page(StatusCode::FORBIDDEN, PLAIN, text);
    }
    let edges = state.edges();
    let list: String = edges.iter().map(|edge| format!("{edge}\n")).collect();
    if edge.is_empty() {
        return page(StatusCode::OK, PLAIN, list);
    }
    let wanted = Wanted::parse(&decoded(edge));
    let wanted = wanted.filter(|wanted| edges.iter().any(|edge| wanted.is(edge)));
    let (Some(wanted), Some(line)) = (wanted, state.tap_line()) else {
        let text = format!("there is no such edge; there are:\n{list}");
        return page(StatusCode::NOT_FOUND, PLAIN, text);
    };
    let Some(watch) = state.taps.watch(wanted) else {
        let text = format!("{WATCHERS_MAX} watch already: end one of them\n");
        return page(StatusCode::TOO_MANY_REQUESTS, PLAIN, text);
    };
    let mut response = Response::new(Reply::Live(Box::new(watch), line));
    let kind = hyper::header::HeaderValue::from_static("application/x-ndjson");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, kind);
    response
}

/// `%3E` is `>`: a URL cannot hold it as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let hex = behind.get(..2).filter(|_| first == b'%');
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Page(page) => Poll::Ready(page.take().map(|page| Ok(Frame::data(page)))),
            Self::Live(watch, line) => watch.tapped.poll_recv(context).map(|tapped| {
                let tapped = tapped?;
                Some(Ok(Frame::data(Bytes::from(line(&tapped) + "\n"))))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Page(None))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Page(page) => {
                let length = page.as_ref().map_or(0, Bytes::len);
                hyper::body::SizeHint::with_exact(length as u64)
            }
            Self::Live(..) => hyper::body::SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_in_a_url() {
        assert_eq!(decoded("tcp-%3Ek8s"), "tcp->k8s");
        assert_eq!(decoded("a%20b:%zz-%3e%"), "a b:%zz->%");
    }
}

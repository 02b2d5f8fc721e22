//! A connection before anything was said on it: in the clear or by TLS, and what is spoken on it.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tapetum_pipeline::Seldom;
use tapetum_tls::{Server, ServerStream, alpn};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tracing::warn;

use super::telemetry::TurnedAway;

/// Bytes in and out.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<ServerStream<TcpStream>>),
}

/// The transport that a peer chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Http1,
    Http2,
}

/// How HTTP/2 begins; no method of HTTP/1 does.
const PREFACE: &[u8] = b"PRI";
/// A peer that sends less than that at once is asked again after this long.
const PEEK_PAUSE: Duration = Duration::from_millis(10);

impl Stream {
    /// Finds out what is spoken; takes as long as the peer likes.
    pub(super) async fn open(
        tcp: TcpStream,
        tls: Option<&Server>,
        peer: IpAddr,
        failed: &Seldom,
    ) -> Result<(Self, Transport), TurnedAway> {
        let Some(tls) = tls else {
            let transport = peek(&tcp).await.ok_or(TurnedAway::Protocol)?;
            return Ok((Self::Plain(tcp), transport));
        };
        let stream = tls.accept(tcp).await.map_err(|why| {
            if let Some(left_out) = failed.now() {
                warn!(%peer, left_out, "a sender cannot connect by TLS: {why}");
            }
            TurnedAway::Tls
        })?;
        let transport = match stream.get_ref().1.alpn_protocol() {
            Some(protocol) if protocol == alpn::H2 => Transport::Http2,
            _ => Transport::Http1,
        };
        Ok((Self::Tls(Box::new(stream)), transport))
    }
}

/// Looks at the first bytes without taking them.
async fn peek(tcp: &TcpStream) -> Option<Transport> {
    let mut seen = [0; PREFACE.len()];
    loop {
        let length = tcp.peek(&mut seen).await.ok()?;
        if length == 0 {
            return None;
        }
        if seen[..length] != PREFACE[..length] {
            return Some(Transport::Http1);
        }
        if length == PREFACE.len() {
            return Some(Transport::Http2);
        }
        tokio::time::sleep(PEEK_PAUSE).await;
    }
}

/// Where a peer is, IPv4 in IPv6 as IPv4.
pub(super) fn peer(tcp: &TcpStream) -> io::Result<IpAddr> {
    Ok(tcp.peer_addr()?.ip().to_canonical())
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

//! How a connection to the server comes to be: the name resolved anew, TCP, and TLS where the endpoint
//! says so.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tapetum_tls::{Client, ClientStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::endpoint::Endpoint;

/// A connected socket.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<ClientStream<TcpStream>>),
}

/// Where to connect, and how.
pub(super) struct Connector {
    pub(super) endpoint: Endpoint,
    /// Of an endpoint that is https.
    pub(super) tls: Option<Client>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("cannot connect to {0}: {1}")]
    Tcp(String, io::Error),
    #[error("TLS with {authority} failed: {why}{}", said(.trouble.as_deref()))]
    Tls {
        authority: String,
        why: io::Error,
        /// What is wrong with our own files: it may well be the cause.
        trouble: Option<String>,
    },
}

impl Connector {
    pub(super) async fn connect(&self) -> Result<Stream, ConnectError> {
        let authority = || self.endpoint.authority.to_string();
        let (host, port) = (self.endpoint.host(), self.endpoint.port());
        let failed = |why| ConnectError::Tcp(authority(), why);
        // Every connect asks for the name again: a Service may have moved.
        let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let Some(tls) = &self.tls else {
            return Ok(Stream::Plain(stream));
        };
        match tls.connect(host, stream).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
            Err(why) => Err(ConnectError::Tls {
                authority: authority(),
                why,
                trouble: tls.trouble(),
            }),
        }
    }
}

fn said(trouble: Option<&str>) -> String {
    match trouble {
        Some(trouble) => format!(" (and our own files cannot be used: {trouble})"),
        None => String::new(),
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

//! Asks a running agent over its admin address.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// Where `service.admin` is if the file does not say else.
pub(crate) const DEFAULT: &str = "127.0.0.1:9465";

/// Who does not answer by then is not an agent.
const PATIENCE: Duration = Duration::from_secs(5);

/// An agent's admin server.
pub(crate) struct Admin<'a> {
    address: &'a str,
}

/// What it said.
pub(crate) enum Asked {
    Answered(Answer),
    /// Its text for an error.
    Refused(String),
}

/// The body of an answer, as it comes.
pub(crate) struct Answer(BufReader<TcpStream>);

impl<'a> Admin<'a> {
    pub(crate) fn new(address: &'a str) -> Self {
        Self { address }
    }

    pub(crate) fn ask(&self, path: &str) -> io::Result<Asked> {
        let about = |error: io::Error| {
            let text = format!(
                "no agent answers at {}: {error}; name its `service.admin` with --admin",
                self.address
            );
            io::Error::new(error.kind(), text)
        };
        let mut stream = self.connect().map_err(about)?;
        // 1.0: the body ends with the connection.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).map_err(about)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut answer = BufReader::new(stream);
        let mut status = String::new();
        answer.read_line(&mut status).map_err(about)?;
        let mut header = status.clone();
        while !header.trim().is_empty() {
            header.clear();
            answer.read_line(&mut header).map_err(about)?;
        }
        if status.split(' ').nth(1) == Some("200") {
            answer.get_ref().set_read_timeout(None)?;
            return Ok(Asked::Answered(Answer(answer)));
        }
        let mut text = String::new();
        answer.take(1 << 16).read_to_string(&mut text)?;
        let text = if text.is_empty() { status } else { text };
        Ok(Asked::Refused(text))
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in self.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Answer {
    /// The next line; `None`: it was the last one.
    pub(crate) fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        Ok((!line.is_empty()).then(|| line.trim_end().to_owned()))
    }

    /// All of it.
    pub(crate) fn text(mut self) -> io::Result<String> {
        let mut text = String::new();
        self.0.read_to_string(&mut text)?;
        Ok(text)
    }
}

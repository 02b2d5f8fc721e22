//! The wire of the scripted API server: just enough HTTP/1.1, by hand, so that an answer can end
//! anywhere.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};

use super::store::Forgotten;
use super::{Cut, Shared};

const HEAD_BYTES_MAX: usize = 64 << 10;
/// Events that are sent in one go.
const EVENTS_AT_ONCE: usize = 256;

struct Request {
    path: String,
    query: HashMap<String, String>,
    metadata_only: bool,
}

/// Where a watch is.
struct Watch<'a> {
    shared: &'a Shared,
    request: &'a Request,
    version: u64,
    bookmarks: u64,
}

pub(super) async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _ = serve(stream, &shared).await;
        });
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    while !shared.lock().is_down {
        let Some(request) = head(&mut stream, &mut buffer).await? else {
            return Ok(());
        };
        let (delay, refused) = {
            let state = shared.lock();
            let mut refused = state.refused.iter();
            let refused = refused.find(|(path, _)| request.is_at(path));
            (state.delay, refused.map(|(_, code)| *code))
        };
        sleep(delay).await;
        if shared.lock().is_down {
            return Ok(());
        }
        if let Some(code) = refused {
            answer(&mut stream, shared, code, &status(code)).await?;
        } else if request.query.contains_key("watch") {
            return watch(&mut stream, shared, &request).await;
        } else {
            let (code, body) = read(shared, &request);
            answer(&mut stream, shared, code, &body).await?;
        }
    }
    Ok(())
}

async fn head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end + 4);
            return Ok(Some(Request::of(&head)));
        }
        if buffer.len() > HEAD_BYTES_MAX || stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

async fn answer(stream: &mut TcpStream, shared: &Shared, code: u16, body: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {code} Scripted\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    shared.lock().sent_bytes += (head.len() + body.len()) as u64;
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await
}

fn read(shared: &Shared, request: &Request) -> (u16, String) {
    let mut state = shared.lock();
    state.remember(&request.whole());
    let path = &request.path;
    if let Some(object) = state.store.read(path) {
        return match request.metadata_only {
            true => (200, object.bare()),
            false => (200, object.json.clone()),
        };
    }
    let parts = path.trim_matches('/').split('/').count();
    let is_root = path.starts_with("/apis/") && parts == 3;
    if is_root {
        return (200, state.store.discover(path).to_string());
    }
    // The path of an object that is not there.
    if path.contains("/namespaces/") {
        return (404, status(404));
    }
    let limit = request
        .query
        .get("limit")
        .and_then(|limit| limit.parse().ok());
    let token = request.query.get("continue").map(|token| token.split(' '));
    let after = token.map(|mut parts| {
        let mut next = || parts.next().unwrap_or_default().to_owned();
        (next(), next(), next())
    });
    let begun = after
        .as_ref()
        .and_then(|(version, ..)| version.parse().ok());
    let version = begun.unwrap_or_else(|| state.store.version());
    if state.store.has_forgotten(version) {
        return (410, status(410));
    }
    let selector = request.selector();
    let after = after.map(|(_, namespace, name)| (namespace, name));
    let page = state
        .store
        .page(path, after, limit.unwrap_or(usize::MAX), |object| {
            object.is_selected(selector)
        });
    let next = page
        .next
        .map(|(namespace, name)| format!("{version} {namespace} {name}"));
    let metadata = json!({
        // Of a list in pages, the version is that of its first.
        "resourceVersion": begun.unwrap_or(page.version).to_string(),
        "continue": next.unwrap_or_default(),
    });
    let items: Vec<&str> = page
        .objects
        .iter()
        .map(|object| object.json.as_str())
        .collect();
    let items = items.join(",");
    (
        200,
        format!("{{\"kind\":\"List\",\"metadata\":{metadata},\"items\":[{items}]}}"),
    )
}

async fn watch(stream: &mut TcpStream, shared: &Shared, request: &Request) -> io::Result<()> {
    let number = |key| {
        request
            .query
            .get(key)
            .and_then(|number| number.parse().ok())
    };
    let version: u64 = number("resourceVersion").unwrap_or_default();
    let until = Instant::now() + Duration::from_secs(number("timeoutSeconds").unwrap_or(300));
    let mut changed = shared.changed.subscribe();
    let (cuts, bookmarks, gone) = {
        let mut state = shared.lock();
        state.remember(&request.whole());
        let gone = state.store.has_forgotten(version);
        (
            state.cuts,
            state.bookmarks,
            gone.then_some(state.gone_as_status),
        )
    };
    if gone == Some(true) {
        return answer(stream, shared, 410, &status(410)).await;
    }
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    if gone.is_some() {
        return end(stream, shared, Cut::Error(410)).await;
    }
    shared.lock().watches += 1;
    let _open = Open(shared);
    let mut watch = Watch {
        shared,
        request,
        version,
        bookmarks,
    };
    loop {
        let cut = {
            let state = shared.lock();
            state.cut.filter(|_| state.cuts > cuts)
        };
        if let Some(cut) = cut {
            return end(stream, shared, cut).await;
        }
        let Ok((lines, all)) = watch.lines() else {
            return end(stream, shared, Cut::Error(410)).await;
        };
        if !lines.is_empty() {
            chunk(stream, shared, &lines).await?;
        }
        if all {
            tokio::select! {
                _ = changed.changed() => {}
                // It says nothing more: this is its end.
                _ = stream.read_u8() => return Ok(()),
                () = sleep_until(until) => break,
            }
        }
    }
    end(stream, shared, Cut::Ended).await
}

async fn chunk(stream: &mut TcpStream, shared: &Shared, lines: &str) -> io::Result<()> {
    let framed = format!("{:x}\r\n{lines}\r\n", lines.len());
    shared.lock().sent_bytes += framed.len() as u64;
    stream.write_all(framed.as_bytes()).await
}

async fn end(stream: &mut TcpStream, shared: &Shared, cut: Cut) -> io::Result<()> {
    match cut {
        Cut::Ended => {}
        Cut::Torn => {
            let half = "400\r\n{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"ha";
            return stream.write_all(half.as_bytes()).await;
        }
        Cut::Error(code) => {
            let line = format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", status(code));
            chunk(stream, shared, &line).await?;
        }
    }
    stream.write_all(b"0\r\n\r\n").await
}

fn status(code: u16) -> String {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        410 => "Expired",
        _ => "Scripted",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "reason": reason, "code": code, "message": format!("scripted {code}"),
    })
    .to_string()
}

impl Watch<'_> {
    /// The next lines, and whether they are all that there is.
    fn lines(&mut self) -> Result<(String, bool), Forgotten> {
        let state = self.shared.lock();
        let path = &self.request.path;
        let events = state.store.since(path, self.version, EVENTS_AT_ONCE)?;
        let all = events.len() < EVENTS_AT_ONCE;
        let mut lines = String::new();
        for event in events {
            self.version = event.version;
            if event.object.is_selected(self.request.selector()) {
                let object = &event.object.json;
                lines += &format!("{{\"type\":\"{}\",\"object\":{object}}}\n", event.kind);
            }
        }
        if all && state.bookmarks > self.bookmarks {
            self.bookmarks = state.bookmarks;
            self.version = state.store.version();
            let metadata = json!({"metadata": {"resourceVersion": self.version.to_string()}});
            lines += &format!("{{\"type\":\"BOOKMARK\",\"object\":{metadata}}}\n");
        }
        Ok((lines, all))
    }
}

impl Request {
    fn of(head: &str) -> Self {
        let target = head.split(' ').nth(1).unwrap_or("/");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let decoded = pairs.map(|(key, value)| (key.to_owned(), decoded(value)));
        Self {
            path: path.to_owned(),
            query: decoded.collect(),
            metadata_only: head.contains("as=PartialObjectMetadata"),
        }
    }

    fn is_at(&self, place: &str) -> bool {
        self.path.starts_with(place) || self.path.split('/').any(|part| part == place)
    }

    fn selector(&self) -> &str {
        self.query.get("fieldSelector").map_or("", String::as_str)
    }

    /// The path with its query, the keys in order.
    fn whole(&self) -> String {
        let mut pairs: Vec<_> = self.query.iter().collect();
        pairs.sort();
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        format!("{}?{}", self.path, pairs.join("&"))
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits: String = rest.by_ref().take(2).map(char::from).collect();
        bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A watch that is counted while it is open.
struct Open<'a>(&'a Shared);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.lock().watches -= 1;
    }
}

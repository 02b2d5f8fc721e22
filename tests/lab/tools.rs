//! The judges that are not ours: iperf3, curl, `ss`, `nstat`, each read as the numbers that tests compare.

use std::{fs, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{
    http,
    place::{Place, Process, until},
};

/// One run of iperf3 as its client saw it.
#[derive(Clone, Debug)]
pub struct Iperf {
    /// The ports of its data streams.
    pub ports: Vec<u16>,
    /// Segments sent again, of the same streams in the same order.
    pub retransmits: Vec<u64>,
    /// Bits a second, all streams.
    pub bits_per_second: f64,
}

impl Iperf {
    /// Starts a server that takes one test.
    ///
    /// # Errors
    /// If it does not come to listen.
    pub fn serve(place: &Place, port: u16) -> Result<Process> {
        let port = port.to_string();
        let mut command = place.command("iperf3");
        command.args(["--server", "--one-off", "--forceflush", "--port", &port]);
        let server = place.start("iperf3-server", &mut command)?;
        until("iperf3 to listen", Duration::from_secs(10), || {
            Ok(server.output().contains("listening on").then_some(()))
        })
        .with_context(|| server.errors())?;
        Ok(server)
    }

    /// Runs a client to its end; `extra` are options of iperf3's own.
    ///
    /// # Errors
    /// If the test fails.
    pub fn run(place: &Place, to: SocketAddr, extra: &[&str]) -> Result<Self> {
        let (address, port) = (to.ip().to_string(), to.port().to_string());
        let mut arguments = vec!["--client", &address, "--port", &port, "--json"];
        arguments.extend(extra);
        let report: Value = serde_json::from_str(&place.run("iperf3", &arguments)?)?;
        let connected = report["start"]["connected"]
            .as_array()
            .context("iperf3 names no streams")?;
        let streams = report["end"]["streams"]
            .as_array()
            .context("iperf3 sums up no streams")?;
        let port = |stream: &Value| {
            stream["local_port"]
                .as_u64()
                .and_then(|port| port.try_into().ok())
        };
        Ok(Self {
            ports: connected.iter().filter_map(port).collect(),
            retransmits: streams
                .iter()
                .filter_map(|s| s["sender"]["retransmits"].as_u64())
                .collect(),
            bits_per_second: report["end"]["sum_sent"]["bits_per_second"]
                .as_f64()
                .unwrap_or(0.0),
        })
    }
}

/// Starts nginx with one small page.
///
/// # Errors
/// If it does not come to listen.
pub fn nginx(place: &Place, address: SocketAddr) -> Result<Process> {
    let dir = place.dir().join(format!("nginx-{}", address.port()));
    fs::create_dir_all(&dir)?;
    let file = dir.join("nginx.conf");
    let config = format!(
        "daemon off; master_process off; pid {0}/pid; error_log {0}/errors;\n\
         events {{ }}\nhttp {{ access_log off; server {{ listen {address}; return 200 'hello\\n'; }} }}\n",
        dir.display()
    );
    fs::write(&file, config)?;
    let mut command = place.command("nginx");
    let process = place.start("nginx", command.arg("-p").arg(&dir).arg("-c").arg(&file))?;
    let url = format!("http://{address}/");
    until("nginx to answer", Duration::from_secs(10), || {
        Ok(http::get(place, &url).ok())
    })
    .with_context(|| process.errors())?;
    Ok(process)
}

/// Starts Python's own web server on a folder with one file, `page`, of so many bytes.
///
/// # Errors
/// If it does not come to listen.
pub fn python(place: &Place, address: SocketAddr, bytes: usize) -> Result<Process> {
    let dir = place.dir().join(format!("python-{}", address.port()));
    fs::create_dir_all(&dir)?;
    fs::write(dir.join("page"), vec![b'p'; bytes])?;
    let mut command = place.command("python3");
    command.args(["-m", "http.server", "--bind", &address.ip().to_string()]);
    command
        .arg("--directory")
        .arg(&dir)
        .arg(address.port().to_string());
    let process = place.start("python", &mut command)?;
    let url = format!("http://{address}/page");
    until("Python to answer", Duration::from_secs(10), || {
        Ok(http::get(place, &url).ok())
    })
    .with_context(|| process.errors())?;
    Ok(process)
}

/// curl's own account of one request over a connection of its own.
#[derive(Clone, Copy, Debug)]
pub struct Curl {
    /// The port it connected from.
    pub local_port: u16,
    /// From the first SYN to the connection being there, in seconds.
    pub connect: f64,
    /// To the end of the answer, in seconds.
    pub total: f64,
    /// Bytes of the request.
    pub sent: u64,
    /// Bytes of the answer, its head included.
    pub received: u64,
}

impl Curl {
    /// Gets a page.
    ///
    /// # Errors
    /// If there is none.
    pub fn of(place: &Place, url: &str) -> Result<Self> {
        const FORMAT: &str = "%{local_port} %{time_namelookup} %{time_connect} %{time_total} \
                              %{size_request} %{size_upload} %{size_header} %{size_download}";
        let output = place.run("curl", &["-sS", "-o", "/dev/null", "-w", FORMAT, url])?;
        let words: Vec<&str> = output.split_whitespace().collect();
        let [
            port,
            lookup,
            connect,
            total,
            request,
            upload,
            header,
            download,
        ] = words[..]
        else {
            anyhow::bail!("curl's account has not eight numbers: {output}");
        };
        let sum = |one: &str, other: &str| -> Result<u64> {
            Ok(one.parse::<u64>()? + other.parse::<u64>()?)
        };
        Ok(Self {
            local_port: port.parse()?,
            connect: connect.parse::<f64>()? - lookup.parse::<f64>()?,
            total: total.parse()?,
            sent: sum(request, upload)?,
            received: sum(header, download)?,
        })
    }
}

/// What `ss -ti` says of one socket.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SocketInfo {
    /// Segments out of the socket.
    pub segments_out: u64,
    /// Segments into it.
    pub segments_in: u64,
    /// Payload that the other end has acknowledged, the SYN included.
    pub bytes_acked: u64,
    /// Payload that came in order.
    pub bytes_received: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Milliseconds that the peer's window was the limit.
    pub rwnd_limited_ms: u64,
    /// Milliseconds that the send buffer was.
    pub sndbuf_limited_ms: u64,
}

impl SocketInfo {
    /// The established socket with this local port, or nothing if there is none.
    ///
    /// # Errors
    /// If ss does not run.
    pub fn of(place: &Place, local_port: u16) -> Result<Option<Self>> {
        let filter = format!("( sport = :{local_port} )");
        let output = place.run("ss", &["-tinHO", "state", "established", &filter])?;
        let Some(line) = output.lines().next() else {
            return Ok(None);
        };
        let field = |name: &str| {
            let value = line
                .split_whitespace()
                .find_map(|word| word.strip_prefix(name));
            value
                .and_then(|value| value.rsplit('/').next()?.parse().ok())
                .unwrap_or(0)
        };
        // As in `rwnd_limited:236ms(88.1%)`.
        let milliseconds = |name: &str| {
            let value = line
                .split_whitespace()
                .find_map(|word| word.strip_prefix(name)?.split_once("ms"));
            value.and_then(|(ms, _)| ms.parse().ok()).unwrap_or(0)
        };
        Ok(Some(Self {
            segments_out: field("segs_out:"),
            segments_in: field("segs_in:"),
            bytes_acked: field("bytes_acked:"),
            bytes_received: field("bytes_received:"),
            retransmits: field("retrans:"),
            rwnd_limited_ms: milliseconds("rwnd_limited:"),
            sndbuf_limited_ms: milliseconds("sndbuf_limited:"),
        }))
    }
}

/// A counter of the namespace since it was made, by `nstat`'s name: `TcpRetransSegs`.
///
/// # Errors
/// If nstat does not run or has no such counter.
pub fn kernel_counter(place: &Place, name: &str) -> Result<u64> {
    let report: Value = serde_json::from_str(&place.run("nstat", &["-aszj", name])?)?;
    report["kernel"][name]
        .as_u64()
        .with_context(|| format!("nstat knows no {name}"))
}

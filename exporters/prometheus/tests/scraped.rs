//! A real Prometheus scrapes the server, with classic and with native histograms, and answers queries.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tapetum_testkit::skip_this;

use super::served::run;

/// How long a query is repeated until it has an answer: far beyond what a start takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Prometheus of our own; ends with the test.
struct Judge {
    process: Child,
    address: SocketAddr,
    _data: tempfile::TempDir,
}

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Judge {
    /// `None`, with the reason on standard error, if there is none on this machine.
    fn start(target: SocketAddr, features: &str) -> Option<Self> {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("prometheus.yml");
        let config = format!(
            "global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}\n\
             scrape_configs: [{{job_name: tapetum, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        std::fs::write(&file, config).unwrap();
        // Free now, and nobody else binds in the moment between.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .arg(format!("--enable-feature={features}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match process {
            Ok(process) => Some(Self {
                process,
                address,
                _data: data,
            }),
            Err(why) => {
                skip_this("exporters", &format!("needs prometheus: {why}"));
                None
            }
        }
    }

    /// The `data.result` of a call to its API, once it is not empty.
    fn answer(&self, call: &str) -> serde_json::Value {
        let begun = Instant::now();
        loop {
            let answer = self.call(call);
            let found = ["/data/result", "/data"]
                .iter()
                .filter_map(|place| answer.pointer(place)?.as_array())
                .find(|found| !found.is_empty());
            if let Some(found) = found {
                return found[0].clone();
            }
            assert!(begun.elapsed() < PATIENCE, "{call}: {answer}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn call(&self, call: &str) -> serde_json::Value {
        let Ok(mut stream) = TcpStream::connect(self.address) else {
            return serde_json::Value::Null;
        };
        let request = format!("GET /api/v1/{call} HTTP/1.0\r\n\r\n");
        let mut response = String::new();
        if stream.write_all(request.as_bytes()).is_err()
            || stream.read_to_string(&mut response).is_err()
        {
            return serde_json::Value::Null;
        }
        let body = response.split_once("\r\n\r\n").map_or("", |it| it.1);
        serde_json::from_str(body).unwrap_or_default()
    }

    /// The value of an instant query that has one series.
    fn value(&self, query: &str) -> String {
        let escaped: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = self.answer(&format!("query?query={escaped}"));
        answer["value"][1].as_str().unwrap_or_default().to_owned()
    }

    fn knows_what_does_not_depend_on_the_format(&self) {
        assert_eq!(self.value("up"), "1");
        assert_eq!(
            self.value(
                "network_flow_bytes_total{source_service_name=\"quo\\\"te \\\\ and\\nnew line\"}"
            ),
            "1"
        );
        assert_eq!(
            self.value("tcp_connections_active{server_port=\"443\"}"),
            "-1"
        );
        assert_eq!(
            self.value(
                "target_info{service_name=\"tapetum\", k8s_cluster_name=\"prod \\\"1\\\"\"}"
            ),
            "1"
        );
        assert_eq!(self.value("tapetum_window_end_seconds"), "1500000000");
        let metadata = self.answer("targets/metadata?metric=tcp_rtt_seconds");
        assert_eq!(metadata["type"], "histogram");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_classic_histograms() {
    let server = run();
    if let Some(judge) = Judge::start(server.address, "exemplar-storage") {
        judge.knows_what_does_not_depend_on_the_format();
        assert_eq!(judge.value("tcp_rtt_seconds_bucket{le=\"0.25\"}"), "4");
        assert_eq!(
            judge.value("tcp_rtt_seconds_bucket{le=\"1.52587890625e-05\"}"),
            "0"
        );
        assert_eq!(judge.value("tcp_rtt_seconds_count"), "5");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_native_histograms() {
    let server = run();
    if let Some(judge) = Judge::start(server.address, "native-histograms,exemplar-storage") {
        judge.knows_what_does_not_depend_on_the_format();
        assert_eq!(judge.value("histogram_count(tcp_rtt_seconds)"), "5");
        let sum: f64 = judge
            .value("histogram_sum(tcp_rtt_seconds)")
            .parse()
            .unwrap();
        assert!((sum - 30.252_03).abs() < 1e-9, "{sum}");
        // Two of five values are 1 ms: the median is in their bucket, which is a fifth wide here.
        let median: f64 = judge
            .value("histogram_quantile(0.5, tcp_rtt_seconds)")
            .parse()
            .unwrap();
        assert!((median - 0.001).abs() < 0.000_2, "{median}");
    }
    server.stop().await;
}

//! The SDKs of Python and Node.js send a span, two metrics and a log record over gRPC, HTTP with protobuf and HTTP
//! with JSON; what leaves the program says the same, whichever way it came.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use tapetum_lab::skip;

use crate::agent::Agent;
use crate::pass::relay;
use crate::sink::{Message, Sink};
use crate::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_of_python_is_understood() {
    match python() {
        Ok(command) => all_ways(&command).await,
        Err(reason) => skip("the SDK of Python", &reason),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_of_node_is_understood() {
    match node() {
        Ok(command) => all_ways(&command).await,
        Err(reason) => skip("the SDK of Node.js", &reason),
    }
}

/// A program and its first arguments and environment.
struct Sdk {
    program: &'static str,
    script: PathBuf,
    libraries: Option<PathBuf>,
}

impl Sdk {
    fn send(&self, protocol: &str, endpoint: &str) -> Output {
        let mut command = Command::new(self.program);
        command.arg(&self.script).args([protocol, endpoint]);
        if let Some(libraries) = &self.libraries {
            command.env("PYTHONPATH", libraries);
        }
        let output = command.output();
        output.unwrap_or_else(|why| panic!("{}: {why}", self.program))
    }
}

async fn all_ways(sdk: &Sdk) {
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        let sink = Sink::start().await;
        let mut agent = Agent::start(&relay(&sink, ""));
        let takes = if protocol == "grpc" { "grpc" } else { "http" };
        let endpoint = format!("http://{}", agent.address(takes).await);
        let sent = tokio::task::block_in_place(|| sdk.send(protocol, &endpoint));
        let said = String::from_utf8_lossy(&sent.stderr).into_owned();
        assert!(sent.status.success(), "{protocol}: {said}");
        let took = until("all three signals", || {
            let took = sink.took();
            let has = |signal: &&str| took.iter().any(|took| took.signal == *signal);
            ["trace", "metrics", "logs"].iter().all(has).then_some(took)
        })
        .await;
        for message in &took {
            judge(protocol, message);
        }
        assert!(agent.stop().await, "{}", agent.log());
    }
}

fn judge(protocol: &str, message: &Message) {
    match &*message.signal {
        "trace" => judge_span(protocol, &message.bytes),
        "metrics" => judge_metrics(protocol, &message.bytes),
        _ => judge_log(protocol, &message.bytes),
    }
}

/// Attributes as text, in order.
fn attributes(of: &[KeyValue]) -> BTreeMap<&str, String> {
    let text = |attribute: &KeyValue| match attribute.value.clone().and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(yes)) => yes.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => format!("{number:?}"),
        Some(Value::ArrayValue(list)) => format!("{} values", list.values.len()),
        other => format!("{other:?}"),
    };
    of.iter()
        .map(|attribute| (attribute.key.as_str(), text(attribute)))
        .collect()
}

fn expected<'a>(of: &[(&'a str, &str)]) -> BTreeMap<&'a str, String> {
    of.iter()
        .map(|(key, value)| (*key, (*value).to_owned()))
        .collect()
}

fn judge_origin(protocol: &str, resource: Option<&Resource>, scope: Option<&InstrumentationScope>) {
    let said = attributes(&resource.expect("a resource").attributes);
    assert_eq!(said["service.name"], "shop", "{protocol}");
    assert_eq!(said["deployment.environment.name"], "test", "{protocol}");
    let scope = scope.expect("a scope");
    assert_eq!(
        (&*scope.name, &*scope.version),
        ("sender", "1.2.3"),
        "{protocol}"
    );
}

fn judge_span(protocol: &str, bytes: &[u8]) {
    let request = ExportTraceServiceRequest::decode(bytes).expect("protobuf");
    let resource = &request.resource_spans[0];
    let scope = &resource.scope_spans[0];
    judge_origin(protocol, resource.resource.as_ref(), scope.scope.as_ref());
    let [span] = &scope.spans[..] else {
        panic!("{protocol}: one span: {request:?}");
    };
    assert_eq!(
        (span.trace_id.len(), span.span_id.len()),
        (16, 8),
        "{protocol}"
    );
    assert_eq!(
        (&*span.name, span.kind),
        ("GET /items/{id}", 2),
        "{protocol}"
    );
    assert!(
        span.end_time_unix_nano >= span.start_time_unix_nano,
        "{protocol}"
    );
    assert!(
        span.start_time_unix_nano > 1_700_000_000_000_000_000,
        "{protocol}"
    );
    assert_eq!(
        attributes(&span.attributes),
        expected(&[
            ("text", "naïve ✓"),
            ("yes", "true"),
            ("int", "-7"),
            ("double", "0.5"),
            ("list", "2 values"),
        ]),
        "{protocol}"
    );
    let event = &span.events[0];
    assert_eq!(&*event.name, "retried", "{protocol}");
    assert_eq!(
        event.time_unix_nano, 1_700_000_000_000_000_001,
        "{protocol}"
    );
    assert_eq!(attributes(&event.attributes), expected(&[("times", "3")]));
    let link = &span.links[0];
    assert_eq!(link.trace_id[..2], [0x12, 0x34], "{protocol}");
    assert_eq!(link.span_id.len(), 8, "{protocol}");
    assert_eq!(attributes(&link.attributes), expected(&[("why", "test")]));
    let status = span.status.clone().expect("a status");
    assert_eq!(
        (status.code, &*status.message),
        (2, "out of stock"),
        "{protocol}"
    );
}

fn judge_metrics(protocol: &str, bytes: &[u8]) {
    let request = ExportMetricsServiceRequest::decode(bytes).expect("protobuf");
    let resource = &request.resource_metrics[0];
    // An SDK may add metrics of its own, in scopes of its own.
    let scopes = resource.scope_metrics.iter();
    let mut ours = scopes.filter(|one| {
        one.scope
            .as_ref()
            .is_some_and(|scope| scope.name == "sender")
    });
    let scope = ours.next().expect("our scope");
    judge_origin(protocol, resource.resource.as_ref(), scope.scope.as_ref());
    for metric in &scope.metrics {
        match metric.data.as_ref().expect("data") {
            Data::Sum(sum) => {
                let said = (&*metric.name, &*metric.unit, &*metric.description);
                assert_eq!(said, ("orders", "{order}", "Orders."), "{protocol}");
                assert!(
                    sum.is_monotonic && sum.aggregation_temporality == 2,
                    "{protocol}"
                );
                let point = &sum.data_points[0];
                assert_eq!(
                    attributes(&point.attributes),
                    expected(&[("country", "NZ")])
                );
                let value = match point.value.expect("a value") {
                    number_data_point::Value::AsInt(value) => value as f64,
                    number_data_point::Value::AsDouble(value) => value,
                };
                assert_eq!(value, 42.0, "{protocol}");
            }
            Data::Histogram(histogram) => {
                assert_eq!(
                    (&*metric.name, &*metric.unit),
                    ("latency", "s"),
                    "{protocol}"
                );
                let point = &histogram.data_points[0];
                assert_eq!((point.count, point.sum), (3, Some(30_007.5)), "{protocol}");
                assert_eq!(point.bucket_counts.iter().sum::<u64>(), 3, "{protocol}");
                assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
                assert_eq!((point.min, point.max), (Some(0.5), Some(30_000.0)));
            }
            other => panic!("{protocol}: {other:?}"),
        }
    }
    assert_eq!(scope.metrics.len(), 2, "{protocol}");
}

fn judge_log(protocol: &str, bytes: &[u8]) {
    let request = ExportLogsServiceRequest::decode(bytes).expect("protobuf");
    let resource = &request.resource_logs[0];
    let scope = &resource.scope_logs[0];
    judge_origin(protocol, resource.resource.as_ref(), scope.scope.as_ref());
    let log = &scope.log_records[0];
    let body = log.body.clone().and_then(|body| body.value);
    let text = Value::StringValue("nearly out of stock".to_owned());
    assert_eq!(body, Some(text), "{protocol}");
    assert_eq!(
        (log.severity_number, &*log.severity_text),
        (13, "WARN"),
        "{protocol}"
    );
    assert_eq!(log.time_unix_nano, 1_700_000_000_000_000_002, "{protocol}");
    let said = attributes(&log.attributes);
    assert_eq!(
        said,
        expected(&[("item", "0PUK6V6EV0"), ("left", "1")]),
        "{protocol}"
    );
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/otlp/sdks")
}

/// Outside of the clone, so that it is fetched once.
fn cache() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_else(|| "/root".into()));
    let named = env::var_os("TAPETUM_CACHE").map(PathBuf::from);
    let cache = named.unwrap_or_else(|| home().join(".cache/tapetum"));
    cache.join("sdks")
}

/// The libraries of one SDK as `list` names them: fetched into a folder of their own that gets its name when it is
/// whole, so that a run that was cut off, or one beside this one, leaves nothing half.
fn fetched(
    name: &str,
    list: &str,
    fetch: impl FnOnce(&Path) -> Command,
) -> Result<PathBuf, String> {
    let text = fs::read_to_string(scripts().join(list)).expect("a list");
    let sum = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let whole = cache().join(format!("{name}-{sum:016x}"));
    if whole.is_dir() {
        return Ok(whole);
    }
    let part = cache().join(format!("{name}-{sum:016x}.{}", std::process::id()));
    fs::create_dir_all(&part).map_err(|why| format!("needs a folder {}: {why}", part.display()))?;
    let output = fetch(&part).output();
    let output = output.map_err(|why| format!("needs {name}'s installer: {why}"))?;
    if !output.status.success() {
        let _ = fs::remove_dir_all(&part);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = said.lines().last().unwrap_or("it failed").to_owned();
        return Err(format!("cannot install its libraries: {last}"));
    }
    if fs::rename(&part, &whole).is_err() {
        let _ = fs::remove_dir_all(&part);
    }
    match whole.is_dir() {
        true => Ok(whole),
        false => Err(format!("cannot keep its libraries in {}", whole.display())),
    }
}

fn python() -> Result<Sdk, String> {
    let list = scripts().join("python/requirements.txt");
    let libraries = fetched("python", "python/requirements.txt", |folder| {
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(["--only-binary", ":all:", "--target"])
        .arg(folder)
        .arg("--requirement")
        .arg(&list);
        pip
    })?;
    Ok(Sdk {
        program: "python3",
        script: scripts().join("python/send.py"),
        libraries: Some(libraries),
    })
}

/// Modules of Node.js are found above a script: it is copied beside them.
fn node() -> Result<Sdk, String> {
    let folder = fetched("node", "node/package-lock.json", |folder| {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(scripts().join("node").join(file), folder.join(file)).expect("a folder");
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(folder);
        npm
    })?;
    let script = folder.join("send.mjs");
    fs::copy(scripts().join("node/send.mjs"), &script).expect("a folder");
    Ok(Sdk {
        program: "node",
        script,
        libraries: None,
    })
}

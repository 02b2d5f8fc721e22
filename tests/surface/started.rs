//! The agent, started: every shipped file gets ready, says its log in JSON, and stops; a second signal
//! does not wait. Each in a network namespace of its own, so that its ports are free.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tapetum_config::shipped::SHIPPED;
use tapetum_lab::skip;
use tapetum_otlp::names::{METRICS, metric};

use crate::run;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An agent and its log. Ends it however the test ends.
pub(crate) struct Started {
    pub(crate) agent: Child,
    pub(crate) log: tempfile::NamedTempFile,
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

#[test]
fn every_shipped_file_gets_ready_and_stops() {
    if let Some(reason) = missing() {
        skip("shipped files", &reason);
        return;
    }
    // At once: those whose backend is not there take all their time to stop.
    std::thread::scope(|all| {
        for shipped in SHIPPED {
            all.spawn(move || starts_and_stops(&format!("config/{}.toml", shipped.name)));
        }
    });
}

fn starts_and_stops(file: &str) {
    let mut started = start(file);
    until_ready(file, &mut started);
    let page = ask(started.agent.id(), "/metrics");
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    judge_page(file, &page);
    terminate(&started);
    let end = started.agent.wait().expect("it ends");
    assert_eq!(end.code(), Some(0), "{file}");
    let log = fs::read_to_string(started.log.path()).expect("its log");
    for line in log.lines() {
        let told: serde_json::Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{file}: no JSON: {error}: {line}"));
        assert!(
            told["level"].is_string() && told["message"].is_string(),
            "{line}"
        );
    }
    assert!(
        log.contains("the pipelines fit into the budget"),
        "{file}: {log}"
    );
}

#[test]
fn a_second_signal_does_not_wait() {
    if let Some(reason) = missing() {
        skip("a second signal", &reason);
        return;
    }
    // Its backend is not there, and it has metrics to send.
    let mut started = start("config/host.toml");
    until_ready("config/host.toml", &mut started);
    terminate(&started);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let log = fs::read_to_string(started.log.path()).expect("its log");
        if log.contains("is asked to stop") {
            break;
        }
        assert!(Instant::now() < deadline, "it does not hear: {log}");
        std::thread::sleep(Duration::from_millis(20));
    }
    terminate(&started);
    let end = started.agent.wait().expect("it ends");
    let log = fs::read_to_string(started.log.path()).expect("its log");
    assert_eq!(end.code(), Some(1), "{log}");
    assert!(
        log.ends_with("a second SIGTERM: stopped at once, without a drain\n"),
        "{log}"
    );
}

pub(crate) fn terminate(started: &Started) {
    let pid = started.agent.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(told.expect("kill").success());
}

/// The metrics of components that a file does not name.
fn of_others(file: &str) -> Vec<&'static str> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("it");
    let components = tapetum::components().into_iter();
    let others = components.filter(|one| {
        let table = one.kind().header(one.name);
        !text.contains(&table)
    });
    others.flat_map(|one| one.metrics.iter().copied()).collect()
}

/// Every metric of its own is there from the start, and the agent says who it is.
fn judge_page(file: &str, page: &str) {
    // Only one of the files has every component.
    let is_whole = file == "config/agent.toml";
    for each in METRICS.map(metric) {
        let is_own = each.name.starts_with("tapetum.") && !of_others(file).contains(&each.name);
        // No shipped file of a node has a queue on disk.
        let of_disk = each.name.starts_with("tapetum.queue.disk.");
        if is_whole && is_own && !of_disk {
            let head = format!("# HELP {} ", each.prometheus);
            assert!(page.contains(&head), "{file}: no {} in {page}", each.name);
        }
    }
    let target = page.lines().find(|line| line.starts_with("target_info{"));
    let target = target.unwrap_or_else(|| panic!("{file}: no target_info in {page}"));
    assert!(target.contains("service_name=\"tapetum\""), "{target}");
    assert!(target.contains("service_instance_id=\""), "{target}");
    let says_node = target.contains("k8s_node_name=\"node-7\"");
    assert_eq!(says_node, is_whole, "{file}: {target}");
    assert!(page.contains("tapetum_records_in_total{"), "{file}: {page}");
}

pub(crate) fn missing() -> Option<String> {
    let doctor = run(&["doctor"]);
    if doctor.status.code() != Some(0) {
        let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
        let row = told.lines().find(|line| line.starts_with("missing"));
        return Some(row.unwrap_or("nothing can be observed here").to_owned());
    }
    let namespace = Command::new("unshare")
        .args(["--net", "ip", "link", "set", "lo", "up"])
        .output();
    if !namespace.is_ok_and(|output| output.status.success()) {
        return Some("`unshare --net ip link set lo up` is refused".to_owned());
    }
    None
}

/// The shell becomes the agent: its process id is the agent's.
pub(crate) fn start(file: &str) -> Started {
    let log = tempfile::NamedTempFile::new().expect("a file for its log");
    let script = "ip link set lo up && exec \"$0\" run -c \"$1\"";
    let agent = Command::new("unshare")
        .args([
            "--net",
            "sh",
            "-c",
            script,
            env!("CARGO_BIN_EXE_tapetum"),
            file,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("NODE_NAME", "node-7")
        .env_remove("OTLP_ENDPOINT")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(log.path()).expect("its log"))
        .spawn()
        .expect("unshare (Debian: util-linux)");
    Started { agent, log }
}

/// Asks the admin server, from inside.
pub(crate) fn ask(pid: u32, path: &str) -> Output {
    let url = format!("http://127.0.0.1:9465{path}");
    Command::new("nsenter")
        .args(["--net", "--target", &pid.to_string()])
        .args(["curl", "--silent", "--fail", "--max-time", "5", &url])
        .output()
        .expect("nsenter and curl")
}

pub(crate) fn until_ready(file: &str, started: &mut Started) {
    let deadline = Instant::now() + PATIENCE;
    while !ask(started.agent.id(), "/readyz").status.success() {
        let ended = started.agent.try_wait().expect("its state");
        assert!(ended.is_none(), "{file}: it ended with {ended:?}");
        assert!(Instant::now() < deadline, "{file} does not get ready");
        std::thread::sleep(Duration::from_millis(50));
    }
}

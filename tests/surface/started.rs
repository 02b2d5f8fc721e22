//! Every shipped file, started: each in a network namespace of its own, so that its ports are free.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tapetum_config::shipped::SHIPPED;
use tapetum_lab::skip;

use crate::run;

const PATIENCE: Duration = Duration::from_secs(20);

/// Ends it however the test ends.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
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
    let mut agent = start(file);
    until_ready(file, &mut agent);
    let page = ask(agent.0.id(), "/metrics");
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains("tapetum_records_in_total"), "{file}: {page}");
    let pid = agent.0.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(told.expect("kill").success());
    let end = agent.0.wait().expect("it ends");
    assert_eq!(end.code(), Some(0), "{file}");
}

fn missing() -> Option<String> {
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
fn start(file: &str) -> Started {
    let script = "ip link set lo up && exec \"$0\" run -c \"$1\"";
    let child = Command::new("unshare")
        .args([
            "--net",
            "sh",
            "-c",
            script,
            env!("CARGO_BIN_EXE_tapetum"),
            file,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("NODE_NAME")
        .env_remove("OTLP_ENDPOINT")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Started(child.expect("unshare (Debian: util-linux)"))
}

/// Asks the admin server, from inside.
fn ask(pid: u32, path: &str) -> Output {
    let url = format!("http://127.0.0.1:9465{path}");
    Command::new("nsenter")
        .args(["--net", "--target", &pid.to_string()])
        .args(["curl", "--silent", "--fail", "--max-time", "5", &url])
        .output()
        .expect("nsenter and curl")
}

fn until_ready(file: &str, agent: &mut Started) {
    let deadline = Instant::now() + PATIENCE;
    while !ask(agent.0.id(), "/readyz").status.success() {
        let ended = agent.0.try_wait().expect("its state");
        assert!(ended.is_none(), "{file}: it ended with {ended:?}");
        assert!(Instant::now() < deadline, "{file} does not get ready");
        std::thread::sleep(Duration::from_millis(50));
    }
}

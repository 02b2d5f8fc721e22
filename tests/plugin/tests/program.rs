//! The program with one more processor: documented, checked and run like those that come with it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tapetum_lab::skip;

const PATIENCE: Duration = Duration::from_secs(60);

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapetum-with-ports"));
    command
        .stdin(Stdio::null())
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn output(arguments: &[&str]) -> Output {
    program()
        .args(arguments)
        .env("PORT", "5432")
        .output()
        .expect("it runs")
}

#[test]
fn it_has_a_document() {
    let output = output(&["components", "ports"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        text.contains("[processors.ports]  keeps the connections"),
        "{text}"
    );
    assert!(
        text.contains("list of: whole number from 1 to 65535; required"),
        "{text}"
    );
}

#[test]
fn its_file_is_checked_like_any_other() {
    assert_eq!(output(&["validate", "ports.toml"]).status.code(), Some(0));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("wrong.toml");
    let wrong = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/ports.toml"))
        .expect("the example")
        .replace("keep = [\"${env:PORT}\"]", "kepe = [1]\nkeep = []");
    std::fs::write(&file, wrong).expect("written");
    let output = output(&["validate", &file.to_string_lossy()]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        told.contains("unknown key `kepe`") && told.contains("did you mean `keep`?"),
        "{told}"
    );
}

#[test]
fn it_runs() {
    let doctor = output(&["doctor"]);
    if doctor.status.code() != Some(0) {
        let told = String::from_utf8_lossy(&doctor.stdout);
        let reason = told.lines().find(|line| line.starts_with("missing"));
        let reason = reason.unwrap_or("nothing can be observed here");
        skip("plugin", reason);
        return;
    }
    let (wanted, other) = (listener(), listener());
    let admin = listener();
    let admin_port = port(&admin).to_string();
    drop(admin);
    let mut child = program()
        .args(["run", "-c", "ports.toml"])
        .env("PORT", port(&wanted).to_string())
        .env("ADMIN_PORT", &admin_port)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let lines = lines(child.stdout.take().expect("its output"));
    until_ready(&admin_port);
    for _ in 0..3 {
        visit(&other);
        visit(&wanted);
    }
    let seen = format!(":{} ", port(&wanted));
    let deadline = Instant::now() + PATIENCE;
    let mut text = String::new();
    while !text.contains(&seen) {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = lines.recv_timeout(left);
        text += &line.unwrap_or_else(|_| panic!("no line for {seen}: {text}"));
        text.push('\n');
    }
    stop(&mut child);
    text.extend(lines.iter());
    assert!(!text.contains(&format!(":{} ", port(&other))), "{text}");
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a port")
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("its address").port()
}

/// One connection that moves a byte and ends.
fn visit(listener: &TcpListener) {
    let mut client =
        TcpStream::connect(listener.local_addr().expect("its address")).expect("connected");
    let (mut server, _) = listener.accept().expect("accepted");
    client.write_all(b"x").expect("sent");
    drop(client);
    let mut all = Vec::new();
    server.read_to_end(&mut all).expect("received");
    assert_eq!(all, b"x");
}

fn lines(from: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (to, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn until_ready(admin_port: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(mut stream) = TcpStream::connect(format!("127.0.0.1:{admin_port}")) {
            let mut answer = String::new();
            let asked =
                stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            if asked.is_ok()
                && stream.read_to_string(&mut answer).is_ok()
                && answer.contains(" 200 ")
            {
                return;
            }
        }
        assert!(Instant::now() < deadline, "it does not get ready");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn stop(child: &mut std::process::Child) {
    let killed = Command::new("kill").arg(child.id().to_string()).status();
    assert!(killed.expect("kill").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

//! The program, with a file of the test's.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::until;

/// A program that runs. Ends it however the test ends.
pub(crate) struct Agent {
    program: Child,
    folder: TempDir,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl Agent {
    /// Starts it with this file.
    pub(crate) fn start(file: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let (path, log) = (folder.path().join("file.toml"), folder.path().join("log"));
        fs::write(&path, file).expect("a folder");
        let program = Command::new(env!("CARGO_BIN_EXE_tapetum"))
            .arg("run")
            .arg("-c")
            .arg(&path)
            .env("TAPETUM_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a folder"))
            .spawn()
            .expect("the program starts");
        Self { program, folder }
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Where it takes OTLP: `grpc` or `http`.
    pub(crate) async fn address(&self, takes: &str) -> SocketAddr {
        let look = || {
            self.log().lines().find_map(|line| {
                let told: serde_json::Value = serde_json::from_str(line).ok()?;
                let is_it = told["message"] == "listens" && told["takes"] == takes;
                is_it.then(|| told["address"].as_str()?.parse().ok())?
            })
        };
        until(&format!("it takes {takes}"), look).await
    }

    /// Asks it to stop and waits for its end; whether it ended well.
    pub(crate) async fn stop(&mut self) -> bool {
        let pid = self.program.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(told.expect("kill").success());
        let program = &mut self.program;
        let end = until("it ends", || program.try_wait().expect("its state")).await;
        end.success()
    }
}

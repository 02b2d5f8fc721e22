//! What the guest tells the tests: one JSON line a check, of facts only. The guest counts what its own
//! programs sent and received and copies what the probe said; what must agree is the tests' matter.

use std::io::{self, Write};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The last line's name: without it, the guest did not come to its end.
pub const END: &str = "end";

/// The name of a line that says why the guest stopped.
pub const FAILED: &str = "failed";

/// One check's facts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Check {
    /// Which.
    pub check: String,
    /// What the guest's own programs counted.
    #[serde(default)]
    pub counted: Vec<Counted>,
    /// What the probe said.
    #[serde(default)]
    pub seen: Vec<Seen>,
    /// What only this check has.
    #[serde(default)]
    pub more: Value,
}

/// One end of a connection, by the program that used it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The end's own address and port.
    pub local: String,
    /// The other end's.
    pub peer: String,
    /// Payload written, and read by the other end.
    pub sent: u64,
    /// Payload read.
    pub received: u64,
    /// The process.
    pub pid: u32,
    /// Whether this end accepted.
    pub accepted: bool,
}

/// One record of the probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The record's kind.
    pub event: String,
    /// `client`, `server` or `unknown`.
    pub role: String,
    /// Address and port.
    pub local: String,
    /// Address and port.
    pub peer: String,
    /// The socket.
    pub id: u64,
    /// Payload.
    pub sent: u64,
    /// Payload.
    pub received: u64,
    /// Initial sequence number of this end, where known.
    pub isn_own: Option<u32>,
    /// Of the other end.
    pub isn_peer: Option<u32>,
    /// The creating process.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// Its control group.
    pub cgroup: u64,
    /// The network namespace.
    pub netns: u64,
    /// How it ended, of a closed one.
    pub end: String,
    /// What went wrong, of a closed one.
    pub failure: Option<String>,
}

/// Writes one line.
pub fn write(to: &mut impl Write, check: &Check) -> io::Result<()> {
    let line = serde_json::to_string(check)?;
    // The guest's serial port turns a newline into two characters; the reader does not mind.
    to.write_all(format!("{line}\n").as_bytes())?;
    to.flush()
}

/// Reads a whole report. An error if the guest stopped, or never came to its end.
pub fn read(text: &str) -> Result<Vec<Check>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let parse = |line: &str| {
        serde_json::from_str::<Check>(line)
            .with_context(|| format!("not a line of a report: {line}"))
    };
    let checks = lines.map(parse).collect::<Result<Vec<_>>>()?;
    if let Some(failed) = checks.iter().find(|check| check.check == FAILED) {
        bail!(
            "the guest failed: {}",
            failed.more.as_str().unwrap_or_default()
        );
    }
    if checks.last().is_none_or(|last| last.check != END) {
        bail!("the guest did not come to the end of its report");
    }
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(check: &str) -> Check {
        Check {
            check: check.to_owned(),
            ..Check::default()
        }
    }

    #[test]
    fn a_report_reads_as_it_was_written_and_its_end_must_be_there() {
        let mut bytes = Vec::new();
        write(&mut bytes, &named("birth")).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        let error = read(&text).expect_err("it has no end");
        assert!(
            error.to_string().contains("did not come to the end"),
            "{error}"
        );
        write(&mut bytes, &named(END)).unwrap();
        let text = String::from_utf8(bytes).unwrap().replace('\n', "\r\n");
        let names: Vec<_> = read(&text)
            .unwrap()
            .into_iter()
            .map(|check| check.check)
            .collect();
        assert_eq!(names, ["birth", END]);
    }

    #[test]
    fn a_guest_that_failed_is_an_error_with_its_reason() {
        let mut bytes = Vec::new();
        let failed = Check {
            more: "no such hook".into(),
            ..named(FAILED)
        };
        write(&mut bytes, &failed).unwrap();
        let error = read(&String::from_utf8(bytes).unwrap()).expect_err("it failed");
        assert!(error.to_string().contains("no such hook"), "{error}");
    }
}

//! How a test that this machine cannot run says so.
//!
//! A test that is left out must never look like one that passed: the reason goes to standard error
//! past the test harness, which swallows what a test that passes prints, and to the file that
//! `TAPETUM_SKIPS` names, for a summary; `TAPETUM_LAB=required` turns it into a failure.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::thread;

/// Says why the test `name` is left out.
///
/// # Panics
/// If `TAPETUM_LAB=required` says that nothing may be left out here.
pub fn skip(name: &str, reason: &str) {
    let line = format!("skipped: {name}: {reason}\n");
    let _ = io::stderr().write_all(line.as_bytes());
    if let Some(path) = env::var_os("TAPETUM_SKIPS") {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
    assert!(
        env::var_os("TAPETUM_LAB").is_none_or(|value| value != "required"),
        "{name} may not be left out here (TAPETUM_LAB=required), but it {reason}"
    );
}

/// The same of the test that runs in this thread, of a package.
///
/// # Panics
/// As [`skip`].
pub fn skip_this(package: &str, reason: &str) {
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    skip(&format!("{package}, {test}"), reason);
}

//! What was made of files, made anew when one of them changed.
//!
//! Each use looks at the files: that costs some microseconds beside a handshake, needs no watcher, and sees
//! every way of changing a file, also the symbolic links that Kubernetes turns around.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{info, warn};

use crate::TlsError;

/// How a value is made of its files.
type Make<T> = Box<dyn Fn() -> Result<T, TlsError> + Send + Sync>;

pub(crate) struct Reread<T> {
    files: Vec<PathBuf>,
    make: Make<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    stamps: Vec<Stamp>,
    value: Arc<T>,
    trouble: Option<String>,
}

/// Says that a file is another one, or has other bytes; `None`: it is not there.
type Stamp = Option<(u64, u64, u64, [i64; 4])>;

impl<T> Reread<T> {
    pub(crate) fn open(files: Vec<PathBuf>, make: Make<T>) -> Result<Self, TlsError> {
        // Before the bytes: what is written in between is seen as a change.
        let stamps = stamps(&files);
        let value = Arc::new(make()?);
        Ok(Self {
            files,
            make,
            state: Mutex::new(State {
                stamps,
                value,
                trouble: None,
            }),
        })
    }

    /// The value of the files as they are, or of what they were when they were last good.
    pub(crate) fn value(&self) -> Arc<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamps(&self.files);
        if now == state.stamps {
            return Arc::clone(&state.value);
        }
        state.stamps = now;
        match (self.make)() {
            Ok(value) => {
                info!(files = ?self.files, "certificates were read again");
                state.value = Arc::new(value);
                state.trouble = None;
            }
            Err(why) => {
                warn!("certificates changed and cannot be used, those before stay in use: {why}");
                state.trouble = Some(why.to_string());
            }
        }
        Arc::clone(&state.value)
    }

    /// What is wrong with the files as they were last seen.
    pub(crate) fn trouble(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.trouble.clone()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let file = fs::metadata(path).ok()?;
        let times = [
            file.mtime(),
            file.mtime_nsec(),
            file.ctime(),
            file.ctime_nsec(),
        ];
        Some((file.dev(), file.ino(), file.size(), times))
    };
    files.iter().map(stamp).collect()
}

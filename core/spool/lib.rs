//! Messages on disk, first in, first out: what a queue writes so that nothing is lost.
//!
//! A [`Log`] is one folder: segment files, each a header and records behind each other, and a cursor
//! that says up to where everything has been delivered. A record has two checksums, one for its head
//! and one for its body: a damaged body costs one message, and how many items that was is known; a
//! damaged head ends the segment there. Whatever is left out is counted, and nothing that another version
//! wrote is deleted.
//!
//! All of it is synchronous and knows no clock; the file system is passed in as [`Files`]. A format
//! that a later version changes gets another number in [`record::VERSION`].

mod cursor;
mod files;
mod folder;
mod load;
mod log;
pub mod record;
mod recover;
mod segment;

pub use files::{File, Files, Lock, SystemFiles};
pub use folder::{Leftover, folder_name, leftovers};
pub use load::{Loaded, Stored};
pub use log::{Dropped, LOCK, Limits, Log};
pub use record::{Draft, Meta};
pub use recover::{Opened, Recovered};
pub use segment::Position;

use std::io;
use std::path::{Path, PathBuf};

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Another graph or process has it.
    #[error(
        "another process uses the folder {0}: stop it, or give this one another `service.data_dir`"
    )]
    Busy(PathBuf),
    /// The file system says no.
    #[error("cannot {what} {}: {why}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What it says.
        why: io::Error,
    },
}

/// Names the place of an error.
fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    move |why| SpoolError::Io {
        what,
        path: path.to_owned(),
        why,
    }
}

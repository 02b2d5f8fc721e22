//! Where the queues of a process are on disk, and what is looked at before anything runs.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use tapetum_spool::{Files, LOCK, Limits, SpoolError, folder_name, leftovers};
use tracing::warn;

use crate::{DiskSpec, Durable, GraphSpec};

const SEGMENT_MOST: u64 = 32 << 20;
/// A full disk gives its oldest sixteenth for what comes.
const SEGMENTS: u64 = 16;

/// The folder of an exporter.
pub(super) fn folder(data_dir: &Path, exporter: &str) -> PathBuf {
    root(data_dir).join(folder_name(exporter))
}

pub(super) fn limits(spec: DiskSpec) -> Limits {
    Limits {
        segment_bytes: (spec.size_bytes / SEGMENTS).min(SEGMENT_MOST),
        durable: spec.sync != Durable::Never,
    }
}

/// Looks at the folders before anything runs: that somebody else has one of them is an error there, and
/// what lies in folders that no queue of this file will send is said. What else may be wrong with a folder
/// may be well later.
pub(crate) fn check_folders(files: &dyn Files, spec: &GraphSpec) -> Result<(), SpoolError> {
    let data_dir = &spec.service.data_dir;
    let mut owners = BTreeSet::new();
    let on_disk = |one: &&crate::Instance| one.queue.disk.is_some();
    for exporter in spec.exporters.iter().filter(on_disk) {
        owners.insert(exporter.id.clone());
        let folder = folder(data_dir, &exporter.id);
        let locked = files.lock(&folder.join(LOCK)).map(drop);
        if locked.is_err_and(|why| why.kind() == io::ErrorKind::WouldBlock) {
            return Err(SpoolError::Busy(folder));
        }
    }
    // A folder that is not there holds nothing.
    for left in leftovers(files, &root(data_dir), &owners).unwrap_or_default() {
        warn!(exporter = %left.owner, bytes = left.bytes, folder = %left.folder.display(),
            "messages of an exporter that has no queue on disk here: give it one again, or delete the folder");
    }
    Ok(())
}

fn root(data_dir: &Path) -> PathBuf {
    data_dir.join("queue")
}

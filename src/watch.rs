//! Notices that a file is not what it was when it was read: the pipeline file, and what it takes in with
//! `${file:…}`.
//!
//! By looking once a second at what each path leads to, not by events of the kernel: a ConfigMap changes by
//! a symbolic link two folders up, an editor by a rename, a network file system without any event, and each
//! watch for those has its own hole. Looking costs one `stat` a file. A change counts once it has rested
//! for one look, so that nothing is read half written; what has other times but the same bytes is none.

use std::fs;
use std::hash::Hash as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// How often is looked.
pub(crate) const EVERY: Duration = Duration::from_secs(1);

/// The files that were read.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    files: Vec<PathBuf>,
    /// How they stood at the last look.
    seen: Vec<Stand>,
    /// What was in them when they were read.
    read: u128,
    /// They stand otherwise than when they were read.
    stirred: bool,
}

/// What a path leads to, without reading it; `None`: to nothing.
type Stand = Option<(u64, u64, u64, i64, i64, i64, i64)>;

impl Watch {
    /// Watches what was read just now.
    pub(crate) fn new(mut files: Vec<PathBuf>) -> Self {
        files.sort();
        files.dedup();
        let seen = files.iter().map(|file| stand(file)).collect();
        Self {
            read: digest(&files),
            seen,
            files,
            stirred: false,
        }
    }

    /// Looks; whether something has changed and has come to rest. Said once.
    pub(crate) fn look(&mut self) -> bool {
        let now: Vec<Stand> = self.files.iter().map(|file| stand(file)).collect();
        if now != self.seen {
            self.seen = now;
            self.stirred = true;
            return false;
        }
        if !std::mem::take(&mut self.stirred) {
            return false;
        }
        let digest = digest(&self.files);
        std::mem::replace(&mut self.read, digest) != digest
    }
}

fn stand(file: &Path) -> Stand {
    let found = fs::metadata(file).ok()?;
    Some((
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
    ))
}

/// Of the bytes behind all paths; one that cannot be read has none.
fn digest(files: &[PathBuf]) -> u128 {
    let mut hasher = SipHasher13::new();
    for file in files {
        fs::read(file).ok().hash(&mut hasher);
    }
    hasher.finish128().as_u128()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// How many looks of the next few say that something has changed.
    fn said(watch: &mut Watch) -> usize {
        (0..4).filter(|_| watch.look()).count()
    }

    #[test]
    fn a_change_is_said_once_and_only_when_it_rests() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        fs::write(&file, "one").unwrap();
        let mut watch = Watch::new(vec![file.clone()]);
        assert_eq!(said(&mut watch), 0);
        fs::write(&file, "half of it").unwrap();
        assert!(!watch.look());
        fs::write(&file, "the whole of it").unwrap();
        assert!(!watch.look(), "it moved since the last look");
        assert!(watch.look());
        assert_eq!(said(&mut watch), 0);
    }

    #[test]
    fn other_times_are_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        fs::write(&file, "one").unwrap();
        let mut watch = Watch::new(vec![file.clone()]);
        let other = folder.path().join("b.toml");
        fs::write(&other, "one").unwrap();
        fs::rename(&other, &file).unwrap();
        assert_eq!(said(&mut watch), 0);
        fs::write(&other, "two").unwrap();
        fs::rename(&other, &file).unwrap();
        assert_eq!(said(&mut watch), 1);
    }

    #[test]
    fn a_config_map_changes_by_a_link_and_a_file_may_go_and_come() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for (version, text) in [("..1", "one"), ("..2", "two")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("tapetum.toml"), text).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/tapetum.toml", at("tapetum.toml")).unwrap();
        let mut watch = Watch::new(vec![at("tapetum.toml")]);
        symlink("..2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert_eq!(said(&mut watch), 1);
        fs::remove_file(at("..data")).unwrap();
        assert_eq!(said(&mut watch), 1);
        symlink("..2", at("..data")).unwrap();
        assert_eq!(said(&mut watch), 1);
    }
}

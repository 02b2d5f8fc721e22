//! A disk that a test fills, breaks, and takes the power of: the same at every run.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tapetum_spool::{File, Files, Lock};

use crate::Random;

/// A file system in memory; clones are the same one.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    files: BTreeMap<PathBuf, Node>,
    locks: Vec<(PathBuf, Arc<AtomicBool>)>,
    fault: Option<io::ErrorKind>,
    /// So many bytes may still be written before every call fails: the process dies there.
    dies_after: Option<u64>,
    capacity: Option<u64>,
    /// Processes that died so far: their open files are dead too.
    life: u64,
}

#[derive(Clone, Default)]
struct Node {
    bytes: Vec<u8>,
    /// What a power cut leaves for sure.
    synced: Vec<u8>,
}

struct Open {
    disk: Disk,
    path: PathBuf,
    life: u64,
}

struct Held(Arc<AtomicBool>);

impl Lock for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Disk {
    /// Makes every call fail in this way; `None`: none any more.
    pub fn fail(&self, how: Option<io::ErrorKind>) {
        self.world().fault = how;
    }

    /// Makes it so small.
    pub fn capacity(&self, bytes: Option<u64>) {
        self.world().capacity = bytes;
    }

    /// Lets the process die when it has written so many bytes more: in the middle of a write.
    pub fn dies_after(&self, bytes: u64) {
        self.world().dies_after = Some(bytes);
    }

    /// The process is gone; what it had written is there.
    pub fn kill(&self) {
        let mut world = self.world();
        world.dies_after = None;
        world.life += 1;
        world.locks.clear();
    }

    /// The power is gone: of what was not synced some is there, some is not, some is noise.
    pub fn cut_power(&self, random: &mut Random) {
        self.kill();
        for node in self.world().files.values_mut() {
            let Node { bytes, synced } = node;
            if bytes.len() <= synced.len() {
                // Overwritten in place, or cut off: either is there or the other.
                if random.once_in(2) {
                    bytes.clone_from(synced);
                }
            } else {
                let more = (bytes.len() - synced.len()) as u64;
                bytes.truncate(synced.len() + random.below(more + 1) as usize);
                let lost = random.below(bytes.len() as u64 - synced.len() as u64 + 1) as usize;
                let whole = bytes.len() - lost;
                if random.once_in(2) {
                    bytes[whole..].fill(0);
                }
            }
            synced.clone_from(bytes);
        }
    }

    /// Changes one byte of a file that has some.
    pub fn damage(&self, random: &mut Random, ending: &str) {
        let mut world = self.world();
        let mut files: Vec<&mut Node> = world
            .files
            .iter_mut()
            .filter(|(path, node)| {
                path.to_string_lossy().ends_with(ending) && !node.bytes.is_empty()
            })
            .map(|(_, node)| node)
            .collect();
        if files.is_empty() {
            return;
        }
        let at = random.below(files.len() as u64) as usize;
        let byte = random.below(files[at].bytes.len() as u64) as usize;
        files[at].bytes[byte] ^= 1 << random.below(8);
    }

    /// Writes a file as it is.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let node = Node {
            bytes: bytes.to_vec(),
            synced: bytes.to_vec(),
        };
        self.world().files.insert(path.to_owned(), node);
    }

    /// Every file and its length.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let world = self.world();
        let files = world.files.iter();
        files
            .map(|(path, node)| (path.clone(), node.bytes.len() as u64))
            .collect()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with a file, unless it fails.
    fn with<T>(&self, open: &Open, work: impl FnOnce(&mut Node) -> io::Result<T>) -> io::Result<T> {
        let mut world = self.world();
        world.check()?;
        world.of(open, work)
    }

    /// Writes what can be written, and says why the others cannot.
    fn write(
        &self,
        open: &Open,
        bytes: &[u8],
        work: impl FnOnce(&mut Node, &[u8]),
    ) -> io::Result<()> {
        let mut world = self.world();
        world.check()?;
        let (can, why) = world.admit(bytes.len());
        world.of(open, |node| {
            work(node, &bytes[..can]);
            why.map_or(Ok(()), Err)
        })
    }
}

impl World {
    fn of<T>(
        &mut self,
        open: &Open,
        work: impl FnOnce(&mut Node) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.life != open.life {
            return Err(io::Error::other("the process that opened it is gone"));
        }
        match self.files.get_mut(&open.path) {
            Some(node) => work(node),
            // A file that was removed is still there for who has it open, and for nobody else.
            None => work(&mut Node::default()),
        }
    }

    /// How many of `bytes` can be written, and what it says of the others.
    fn admit(&mut self, bytes: usize) -> (usize, Option<io::Error>) {
        let used: u64 = self.files.values().map(|one| one.bytes.len() as u64).sum();
        let free = self
            .capacity
            .map_or(u64::MAX, |all| all.saturating_sub(used));
        let mut can = bytes as u64;
        let mut why = None;
        if can > free {
            (can, why) = (free, Some(io::ErrorKind::StorageFull.into()));
        }
        if let Some(left) = &mut self.dies_after {
            if can > *left {
                (can, why) = (*left, Some(io::Error::other("the process dies")));
            }
            *left -= can;
        }
        (can as usize, why)
    }

    fn check(&self) -> io::Result<()> {
        match (self.fault, self.dies_after) {
            (Some(how), _) => Err(how.into()),
            (None, Some(0)) => Err(io::Error::other("the process is dead")),
            _ => Ok(()),
        }
    }
}

impl Files for Disk {
    fn may_wait(&self) -> bool {
        false
    }

    fn create_folder(&self, _: &Path) -> io::Result<()> {
        self.world().check()
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let world = self.world();
        world.check()?;
        let below = world.files.keys().filter_map(|path| {
            let below = path.strip_prefix(folder).ok()?;
            Some(below.iter().next()?.to_string_lossy().into_owned())
        });
        let mut names: Vec<String> = below.collect();
        names.dedup();
        Ok(names)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut world = self.world();
        world.check()?;
        world.files.entry(path.to_owned()).or_default();
        Ok(Box::new(Open {
            disk: self.clone(),
            path: path.to_owned(),
            life: world.life,
        }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.check()?;
        let gone = world.files.remove(path);
        gone.map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.check()?;
        let node = world.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        world.files.insert(to.to_owned(), node);
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        self.world().check()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let mut world = self.world();
        world.check()?;
        world.locks.retain(|(_, held)| held.load(Ordering::Relaxed));
        if world.locks.iter().any(|(locked, _)| locked == path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let held = Arc::new(AtomicBool::new(true));
        world.locks.push((path.to_owned(), Arc::clone(&held)));
        Ok(Box::new(Held(held)))
    }
}

impl File for Open {
    fn length(&self) -> io::Result<u64> {
        self.disk.with(self, |node| Ok(node.bytes.len() as u64))
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.with(self, |node| {
            let from = node.bytes.get(offset as usize..).unwrap_or_default();
            let read = from.len().min(into.len());
            into[..read].copy_from_slice(&from[..read]);
            Ok(read)
        })
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.write(self, bytes, |node, bytes| {
            let end = offset as usize + bytes.len();
            if node.bytes.len() < end {
                node.bytes.resize(end, 0);
            }
            node.bytes[offset as usize..end].copy_from_slice(bytes);
        })
    }

    fn append(&mut self, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let all = parts.iter().flat_map(|part| part.iter().copied());
        self.disk
            .write(self, &all.collect::<Vec<u8>>(), |node, bytes| {
                node.bytes.extend_from_slice(bytes);
            })
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.disk.with(self, |node| {
            node.bytes.truncate(length as usize);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.with(self, |node| {
            node.synced.clone_from(&node.bytes);
            Ok(())
        })
    }
}

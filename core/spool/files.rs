//! The file system as a log needs it, and the system's own.

use std::fs;
use std::io::{self, IoSlice, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// A file system; passed in, so that a test can fill it, break it and cut its power.
pub trait Files: Send + Sync {
    /// Whether a call may keep its thread waiting.
    fn may_wait(&self) -> bool;

    /// Makes a folder and those above it; no error if it is there.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// The names of what is in a folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Opens a file for reading and writing; makes it if it is not there.
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Renames a file, in the place of another if there is one.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes what was made, renamed and removed in a folder outlive a power cut.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Locks a file against other processes and other openers in this one, for as long as what is
    /// returned lives. [`io::ErrorKind::WouldBlock`]: somebody else has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>>;
}

/// An open file.
pub trait File: Send + Sync {
    /// Its length.
    fn length(&self) -> io::Result<u64>;

    /// Reads at an offset until `into` is full or the file ends; how many bytes that was.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at an offset.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Writes all parts behind what is there.
    fn append(&mut self, parts: &mut [IoSlice<'_>]) -> io::Result<()>;

    /// Cuts it off.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Makes its content outlive a power cut.
    fn sync(&self) -> io::Result<()>;
}

/// A lock that is held until it is dropped.
pub trait Lock: Send + Sync {}

/// The system's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemFiles;

struct SystemFile(fs::File);

/// The system releases the lock when the file is closed, however the process ends.
struct SystemLock(#[expect(dead_code, reason = "held, not used")] fs::File);

impl Lock for SystemLock {}

impl Files for SystemFiles {
    fn may_wait(&self) -> bool {
        true
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let file = fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        Ok(Box::new(SystemFile(file)))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        fs::File::open(folder)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let file = fs::File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(SystemLock(file))),
            Err(fs::TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(fs::TryLockError::Error(why)) => Err(why),
        }
    }
}

impl File for SystemFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < into.len() {
            match self.0.read_at(&mut into[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
        Ok(done)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn append(&mut self, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        self.0.seek(SeekFrom::End(0))?;
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            match self.0.write_vectored(parts) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut parts, written),
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

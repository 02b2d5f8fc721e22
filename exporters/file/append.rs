//! A file of lines that cannot grow without bound: appended to, renamed when it is full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Where lines go.
pub(super) enum Place {
    /// Standard output: never opened, never renamed.
    Stream(Box<dyn Write + Send>),
    /// A file.
    File(Rotating),
}

/// A file and the older ones beside it.
pub(super) struct Rotating {
    path: PathBuf,
    size_max: u64,
    keep: u32,
    open: Option<(File, u64)>,
}

impl Place {
    /// Appends one line, whole or not at all.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Stream(out) => {
                out.write_all(line)?;
                out.flush()
            }
            Self::File(file) => file.append(line),
        }
    }
}

impl Rotating {
    pub(super) fn new(path: PathBuf, size_max: u64, keep: u32) -> Self {
        Self {
            path,
            size_max,
            keep,
            open: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file, so that a start says what the first line would run into.
    pub(super) fn prepare(&mut self) -> io::Result<()> {
        self.open = Some(open(&self.path)?);
        Ok(())
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let (mut file, mut size) = match self.open.take() {
            Some(open) => open,
            None => open(&self.path)?,
        };
        if size > 0 && size + line.len() as u64 > self.size_max {
            self.make_room()?;
            (file, size) = open(&self.path)?;
        }
        if let Err(why) = file.write_all(line) {
            // A half line would be read as damage, and the whole one will be sent again.
            let _ = file.set_len(size);
            return Err(why);
        }
        self.open = Some((file, size + line.len() as u64));
        Ok(())
    }

    /// Renames `path` to `path.1`, what was `path.1` to `path.2`, and so on; the last one goes.
    fn make_room(&self) -> io::Result<()> {
        if self.keep == 0 {
            return fs::remove_file(&self.path);
        }
        for n in (1..self.keep).rev() {
            match fs::rename(self.older(n), self.older(n + 1)) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
                _ => {}
            }
        }
        fs::rename(&self.path, self.older(1))
    }

    fn older(&self, n: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{n}"));
        name.into()
    }
}

/// Opens for appending, behind a whole line: one that a crash cut off is ended first.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    let size = file.metadata()?.len();
    if size == 0 {
        return Ok((file, 0));
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" {
        return Ok((file, size));
    }
    file.write_all(b"\n")?;
    Ok((file, size + 1))
}

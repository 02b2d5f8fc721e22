//! One file as it was read: its name for messages, its folder for relative paths, its text.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::World;

/// A file to be read, or a text that stands for one.
#[derive(Clone)]
pub struct Source {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) text: String,
}

impl Source {
    /// A text under a name; paths in it are relative to the folder of the name.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let name = name.into();
        let folder = Path::new(&name)
            .parent()
            .map_or_else(PathBuf::new, Path::to_path_buf);
        Self {
            name,
            folder,
            text: text.into(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Where the file cannot be read or is no text; names the file.
    pub fn read(path: &Path, world: &dyn World) -> io::Result<Self> {
        let name = path.display().to_string();
        match world.text(path) {
            Ok(text) => Ok(Self::new(name, text)),
            Err(error) => Err(io::Error::new(
                error.kind(),
                format!("cannot read {name}: {error}"),
            )),
        }
    }
}

/// The name alone: the text may hold a secret.
impl fmt::Debug for Source {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_tuple("Source").field(&self.name).finish()
    }
}

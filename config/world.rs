//! What a file may ask of the world around it: variables and small files. Passed in, so that a test
//! needs neither.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Larger than any key or token; keeps `${file:/dev/zero}` from taking all memory.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Variables and files.
pub trait World {
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// The whole text of a file.
    ///
    /// # Errors
    /// Where it cannot be read, is no text or is too large.
    fn text(&self, path: &Path) -> io::Result<String>;
}

/// The world of this process.
#[derive(Clone, Copy, Debug)]
pub struct Host;

impl World for Host {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn text(&self, path: &Path) -> io::Result<String> {
        let mut text = String::new();
        File::open(path)?
            .take(FILE_BYTES_MAX + 1)
            .read_to_string(&mut text)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::other("it is larger than 1MiB"));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_file_is_refused() {
        let error = Host.text(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.to_string(), "it is larger than 1MiB");
    }
}

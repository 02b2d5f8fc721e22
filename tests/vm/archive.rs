//! Writes the archive that a Linux kernel unpacks as its first file system (cpio's "newc" form),
//! so that building one needs no tool and gives the same bytes everywhere.

use std::collections::BTreeSet;

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const END: &str = "TRAILER!!!";

/// An archive in the making.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    directories: BTreeSet<String>,
    entries: u32,
}

impl Archive {
    /// Adds a directory and those above it, each once.
    pub fn directory(&mut self, path: &str) {
        let path = path.trim_matches('/');
        for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
            if self.directories.insert(path[..end].to_owned()) {
                self.entry(&path[..end], DIRECTORY, &[]);
            }
        }
    }

    /// Adds a file that may be run, and the directories above it.
    pub fn file(&mut self, path: &str, content: &[u8]) {
        let path = path.trim_matches('/');
        if let Some((above, _)) = path.rsplit_once('/') {
            self.directory(above);
        }
        self.entry(path, PROGRAM, content);
    }

    /// The whole archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry(END, 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(content.len()).expect("no file of ours has 4 GiB");
        let name_size = u32::try_from(path.len() + 1).expect("no path of ours has 4 GiB");
        // Inode, mode, owner, group, links, time, size, device and node's device, name's size, sum.
        let head = [
            self.entries,
            mode,
            0,
            0,
            1,
            0,
            size,
            0,
            0,
            0,
            0,
            name_size,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in head {
            self.bytes
                .extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_each_directory_once_and_ends_as_the_kernel_wants() {
        let mut archive = Archive::default();
        archive.file("/lib/a/b.so", b"12345");
        archive.file("lib/c.so", b"");
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(
            text.matches("070701").count(),
            5,
            "lib, lib/a, two files, the end"
        );
        assert_eq!(text.matches("lib/a\0").count(), 1);
        assert!(text.contains("b.so\0"));
        assert!(text.trim_end_matches('\0').ends_with(END));
        // The size of the first file's content, at its place in the head.
        let head = text.find("lib/a/b.so").expect("it is there") - 110;
        assert_eq!(&text[head + 54..head + 62], "00000005");
    }
}

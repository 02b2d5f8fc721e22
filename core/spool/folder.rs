//! Which folder is whose: one an exporter, called like it. What nobody claims any more is said and left.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::Files;
use crate::log::LOCK;
use crate::segment;

/// A folder with messages that no queue will send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Where.
    pub folder: PathBuf,
    /// The exporter that wrote it.
    pub owner: String,
    /// How many bytes of messages are in it.
    pub bytes: u64,
}

/// What the folder of an owner is called: its name, with `%XX` for what a file name should not have.
#[must_use]
pub fn folder_name(owner: &str) -> String {
    let mut name = String::new();
    for byte in owner.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        match is_plain {
            true => name.push(char::from(byte)),
            false => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name
}

/// The folders with messages whose owner is none of `owners`, but for those that somebody has open.
pub fn leftovers(
    files: &dyn Files,
    root: &Path,
    owners: &BTreeSet<String>,
) -> io::Result<Vec<Leftover>> {
    let mut all = Vec::new();
    for name in files.list(root)? {
        let folder = root.join(&name);
        let Some(owner) = owner_of(&name).filter(|owner| !owners.contains(owner)) else {
            continue;
        };
        let segments = files.list(&folder).unwrap_or_default();
        let segments = segments
            .iter()
            .filter(|name| segment::number(name).is_some());
        let mut bytes = 0;
        for name in segments {
            bytes += files.open(&folder.join(name))?.length()?;
        }
        if bytes > 0 && files.lock(&folder.join(LOCK)).is_ok() {
            all.push(Leftover {
                folder,
                owner,
                bytes,
            });
        }
    }
    Ok(all)
}

/// The owner of a folder; `None`: the name is not one of ours.
fn owner_of(name: &str) -> Option<String> {
    let mut pieces = name.split('%');
    let mut owner = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.get(..2)?;
        owner.push(u8::from_str_radix(digits, 16).ok()?);
        owner.extend_from_slice(&piece.as_bytes()[2..]);
    }
    let owner = String::from_utf8(owner).ok()?;
    (folder_name(&owner) == name).then_some(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_called_like_its_owner_and_says_whose_it_is() {
        assert_eq!(folder_name("otlp"), "otlp");
        assert_eq!(folder_name("otlp/ärchive"), "otlp%2F%C3%A4rchive");
        for owner in ["otlp", "otlp/ärchive", "..", "a%b", ""] {
            assert_eq!(owner_of(&folder_name(owner)).as_deref(), Some(owner));
        }
        for name in ["a b", "%2", "%zz", "%2f", "lost+found", "%FF"] {
            assert_eq!(owner_of(name), None, "{name}");
        }
    }
}

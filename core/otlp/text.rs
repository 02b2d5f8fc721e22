//! Short text without an allocation.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

/// Room for any IP address as text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddressText {
    bytes: [u8; Self::ROOM],
    len: usize,
}

impl AddressText {
    /// The longest IPv6 address, with an IPv4 tail, has 45 characters.
    const ROOM: usize = 48;

    pub(crate) fn of(address: IpAddr) -> Self {
        let mut text = Self {
            bytes: [0; Self::ROOM],
            len: 0,
        };
        let _ = write!(text, "{address}");
        text
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl fmt::Write for AddressText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

//! Networks as a file names them.

use std::net::IpAddr;

/// A network: addresses as IPv6, so that one table holds both kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cidr {
    address: u128,
    length: u8,
}

/// What does not read as a network.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CidrError {
    /// Not of the form.
    #[error("`{0}` is not a network in CIDR notation")]
    Form(String),
    /// Bits behind the prefix: probably a slip of the prefix.
    #[error("`{0}` has bits set behind its prefix: is it the address of a host?")]
    HostBits(String),
}

impl Cidr {
    pub(crate) fn parse(text: &str) -> Result<Self, CidrError> {
        let form = || CidrError::Form(text.to_owned());
        let (address, length) = text.split_once('/').ok_or_else(form)?;
        let address: IpAddr = address.parse().map_err(|_| form())?;
        let length: u8 = length.parse().map_err(|_| form())?;
        let length = match address {
            IpAddr::V4(_) if length <= 32 => length + 96,
            IpAddr::V6(_) if length <= 128 => length,
            _ => return Err(form()),
        };
        let whole = number(address);
        let network = Self::around(whole, length);
        if network.address != whole {
            return Err(CidrError::HostBits(text.to_owned()));
        }
        Ok(network)
    }

    pub(crate) fn around(address: u128, length: u8) -> Self {
        let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
        Self {
            address: address & mask,
            length,
        }
    }

    /// How many bits all addresses of it share, of 128.
    pub(crate) fn length(self) -> u8 {
        self.length
    }

    /// Whether an address is of it.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        Self::around(number(address), self.length) == self
    }
}

/// An address as a number; an IPv4 one as it stands in IPv6.
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

//! `allow`: the clients that are answered.

use crate::config::reading::Refusal;
use std::net::IpAddr;

/// Addresses that share their first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether the address belongs to it. An IPv4 address that came in over IPv6 counts as what it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, other, width) = match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (u128::from(own.to_bits()), u128::from(other.to_bits()), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits(), other.to_bits(), 128),
            _ => return false,
        };
        let rest = u32::from(width - self.bits.min(width));
        (own ^ other).checked_shr(rest).unwrap_or(0) == 0
    }
}

/// Networks, separated by commas.
pub(super) fn networks(text: &str) -> Result<Vec<Network>, Refusal> {
    let network = |text: &str| {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(width), |bits| bits.parse().ok().filter(|bits| *bits <= width))?;
        Some(Network { address, bits })
    };
    let parts = text.split(',').map(str::trim);
    parts
        .map(|part| {
            network(part).ok_or_else(|| format!("{part:?} is not a network; write 10.0.0.0/8, 192.0.2.1 or ::1"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_what_they_should() {
        let list = networks("10.0.0.0/8, 192.0.2.1, ::1, 2001:db8::/32").unwrap();
        let allowed = |text: &str| list.iter().any(|network| network.contains(text.parse().unwrap()));
        for address in ["10.1.2.3", "192.0.2.1", "::1", "2001:db8:5::9", "::ffff:10.9.9.9"] {
            assert!(allowed(address), "{address}");
        }
        for address in ["11.0.0.1", "192.0.2.2", "::2", "2001:db9::"] {
            assert!(!allowed(address), "{address}");
        }
        assert!(networks("0.0.0.0/0").unwrap()[0].contains("1.2.3.4".parse().unwrap()));
    }
}

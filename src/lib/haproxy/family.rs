//! Families: what HAProxy tells beside the figures of frontends, backends, servers and the process. Each is off until
//! `families` of `[pull]` names it.

/// A family of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Rows of listeners in `show stat`.
    Listeners,
    /// States of frontends, backends, servers, agents and checks, each as a number.
    States,
    /// Stick tables.
    Tables,
    /// Name servers of `resolvers` sections.
    Resolvers,
    /// Certificates, and when they expire.
    Certificates,
    /// Activity of threads.
    Activity,
    /// Memory pools.
    Pools,
    /// Peers.
    Peers,
    /// Version, node and description.
    Build,
    /// Response times. No word of `families`: `latency-table` names the table.
    Latency,
}

impl Family {
    /// All that `families` knows.
    pub const ALL: [Self; 9] = [
        Self::Listeners,
        Self::States,
        Self::Tables,
        Self::Resolvers,
        Self::Certificates,
        Self::Activity,
        Self::Pools,
        Self::Peers,
        Self::Build,
    ];

    /// The word in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Listeners => "listeners",
            Self::States => "states",
            Self::Tables => "tables",
            Self::Resolvers => "resolvers",
            Self::Certificates => "certificates",
            Self::Activity => "activity",
            Self::Pools => "pools",
            Self::Peers => "peers",
            Self::Build => "build",
            Self::Latency => "latency",
        }
    }
}

/// Some families.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Families(u16);

impl Families {
    /// Each of them.
    #[must_use]
    pub fn all() -> Self {
        Family::ALL.into_iter().collect()
    }

    /// Whether this one is among them.
    #[must_use]
    pub const fn has(self, family: Family) -> bool {
        self.0 & (1 << family as u16) != 0
    }

    /// None at all.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Family> for Families {
    fn from_iter<I: IntoIterator<Item = Family>>(families: I) -> Self {
        Self(families.into_iter().fold(0, |all, family| all | (1 << family as u16)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_is_on_by_itself() {
        for family in Family::ALL {
            let one = Families::from_iter([family]);
            assert!(Family::ALL.iter().all(|other| one.has(*other) == (*other == family)));
        }
        assert!(Families::default().is_empty() && Family::ALL.iter().all(|family| Families::all().has(*family)));
    }
}

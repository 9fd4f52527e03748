//! The brokers of a scene.

use crate::harness::gate::Gate;
use crate::harness::kafka::{Brokers, Tansu};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

pub(super) enum Cluster {
    /// The mock cluster of librdkafka. It does not get over members whose connections end while they join.
    Mock(Brokers),
    /// An independent broker, which keeps its state while nobody gets to it.
    Tansu(Tansu, Gate),
}

impl Cluster {
    pub(super) fn mock() -> Option<Self> {
        Some(Self::Mock(Brokers::start(2)))
    }

    /// `None` where it is not unpacked.
    pub(super) fn tansu() -> Option<Self> {
        Tansu::start_behind_gate().map(|(tansu, gate)| Self::Tansu(tansu, gate))
    }

    pub(super) fn address(&self) -> String {
        match self {
            Self::Mock(brokers) => brokers.address(),
            Self::Tansu(tansu, _) => tansu.address().to_owned(),
        }
    }

    pub(super) fn create_topic(&self, topic: &str, partitions: i32) {
        match self {
            Self::Mock(brokers) => brokers.create_topic(topic, partitions),
            Self::Tansu(tansu, _) => tansu.create_topic(topic, partitions),
        }
    }

    /// Takes all of them away.
    pub(super) fn down(&self) {
        match self {
            Self::Mock(brokers) => brokers.down(),
            Self::Tansu(_, gate) => gate.shut(),
        }
    }

    /// Takes them away from one process, where they are behind a gate.
    pub(super) fn shut_out(&self, pid: Pid) {
        if let Self::Tansu(_, gate) = self {
            gate.shut_out(pid);
        }
    }

    /// Brings them back, with what they had.
    pub(super) fn up(&self) {
        match self {
            Self::Mock(brokers) => brokers.up(),
            Self::Tansu(_, gate) => gate.open(),
        }
    }

    /// Sends them a signal, where they are a process.
    pub(super) fn signal(&self, signal: Signal) {
        if let Self::Tansu(tansu, _) = self {
            tansu.signal(signal);
        }
    }
}

//! Text to value: numbers, switches, durations, names. Each function fails with what is wrong and, after a semicolon, what
//! would be right.

mod name;
mod number;
mod time;
mod word;

use super::reading::{Reading, Type};
use std::net::IpAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use name::hidden_credentials;
pub(super) use name::{address, host, namespace};
pub use number::Retries;
pub(super) use number::{count, fraction, port, whole};
pub use number::{float, integer};
pub use word::LogLevel;
pub use word::boolean;
pub(super) use word::{choice, text};

pub(super) const ADDRESS: Reading<IpAddr> = Reading::new(Type::Text, name::address);
pub(super) const BOOLEAN: Reading<bool> = Reading::new(Type::Boolean, word::boolean);
pub(super) const BYTES: Reading<NonZeroU64> = Reading::new(Type::Bytes, number::bytes);
pub(super) const COUNT: Reading<NonZeroUsize> = Reading::new(Type::Count, number::count);
pub(super) const DIRECTORY: Reading<PathBuf> = Reading::new(Type::Directory, name::path);
pub(super) const FACTOR: Reading<f64> = Reading::new(Type::Number, number::factor);
pub(super) const FILE: Reading<PathBuf> = Reading::new(Type::File, name::file);
pub(super) const FRACTION: Reading<f64> = Reading::new(Type::Fraction, number::fraction);
pub(super) const HOST: Reading<String> = Reading::new(Type::Text, name::host);
pub(super) const LOGLEVEL: Reading<LogLevel> = Reading::new(Type::LogLevel, word::loglevel);
pub(super) const NAMESPACE: Reading<String> = Reading::new(Type::Text, name::namespace);
pub(super) const OPTIONAL_TIME_LIMIT: Reading<Option<Duration>> =
    Reading::new(Type::Seconds, time::optional_time_limit);
pub(super) const PAUSE: Reading<Duration> = Reading::new(Type::Seconds, time::pause);
pub(super) const PERCENT: Reading<u8> = Reading::new(Type::Percent, number::percent);
pub(super) const PORT: Reading<u16> = Reading::new(Type::Port, number::port);
pub(super) const RETRIES: Reading<Retries> = Reading::new(Type::Retries, number::retries);
pub(super) const TEXT: Reading<String> = Reading::new(Type::Text, word::text);
pub(super) const TIME_LIMIT: Reading<Duration> = Reading::new(Type::Seconds, time::time_limit);
pub(super) const WHOLE_SECONDS: Reading<Duration> = Reading::new(Type::WholeSeconds, time::whole_seconds);
pub(super) const WORKERS: Reading<NonZeroUsize> = Reading::new(Type::Count, number::workers);

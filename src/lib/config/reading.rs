//! How the text of an option becomes a value.

/// Why a value is refused: what is wrong, and what would be right.
pub(crate) type Refusal = String;

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// debug, info, warning, error, critical.
    LogLevel,
    /// A whole number, -1 or more.
    Retries,
    /// Seconds, a fraction allowed.
    Seconds,
    /// Whole seconds.
    WholeSeconds,
    /// A whole number, 1 or more.
    Count,
    /// A whole number of bytes, 1 or more.
    Bytes,
    /// A number.
    Number,
    /// 1 to 65535.
    Port,
    /// ADDRESS:PORT.
    Socket,
    /// true or false.
    Boolean,
    /// A directory.
    Directory,
    /// A file.
    File,
    /// URLs, separated by commas.
    Servers,
    /// Names of metrics, separated by spaces, or `all`.
    Metrics,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
    /// A regular expression.
    Pattern,
    /// Words of an answer to an agent check.
    Answer,
    /// A number from 0 to 1.
    Fraction,
    /// A whole number from 0 to 100.
    Percent,
    /// A weight of HAProxy.
    Weight,
    /// An age, a size, or both.
    Keep,
}

impl Type {
    /// The type in words, for documents.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::LogLevel => "debug, info, warning, error or critical".to_owned(),
            Self::Retries => "whole number, -1 or more".to_owned(),
            Self::Seconds | Self::Number => "number".to_owned(),
            Self::WholeSeconds | Self::Count | Self::Bytes => "whole number, 1 or more".to_owned(),
            Self::Port => "whole number, 1 to 65535".to_owned(),
            Self::Socket => "address:port".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Directory => "directory".to_owned(),
            Self::File => "file".to_owned(),
            Self::Servers => "URLs separated by commas".to_owned(),
            Self::Metrics => "names separated by spaces, or all".to_owned(),
            Self::Choice(words) => words.join(" or "),
            Self::Text => "text".to_owned(),
            Self::Pattern => "regular expression".to_owned(),
            Self::Answer => "answer".to_owned(),
            Self::Fraction => "number from 0 to 1".to_owned(),
            Self::Percent => "whole number, 0 to 100".to_owned(),
            Self::Weight => "whole number, 0 to 256".to_owned(),
            Self::Keep => "age, size, or both".to_owned(),
        }
    }

    /// The unit, for documents; empty for what has none.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Seconds | Self::WholeSeconds => "seconds",
            Self::Bytes => "bytes",
            Self::Percent => "percent",
            _ => "",
        }
    }
}

/// How a value is read: what it may be, for documents and schemas, and the function that reads it.
pub(super) struct Reading<T> {
    pub(super) kind: Type,
    pub(super) parse: fn(&str) -> Result<T, Refusal>,
}

impl<T> Reading<T> {
    pub(super) const fn new(kind: Type, parse: fn(&str) -> Result<T, Refusal>) -> Self {
        Self { kind, parse }
    }
}

//! What a row of the table of options is made of. The rows stand in the files of their sections, declared by [`options!`]: a
//! constant for each, which also reads the value.

use super::options::Reader;
use super::value::Refusal;

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
    /// Names of metrics, separated by blanks, or `all`.
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

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// Its section.
    pub section: &'static str,
    /// Its name; `*` where the user chooses the names, also behind a dot.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Type,
    /// Its built-in default; `None`: unset.
    pub default: Option<&'static str>,
    /// Who reads it.
    pub reader: Reader,
    /// What it does, for haproxystats.conf and docs/configuration.md.
    pub about: &'static str,
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

/// An option with the type of its value.
pub(super) struct Opt<T> {
    pub(super) spec: OptionSpec,
    pub(super) parse: fn(&str) -> Result<T, Refusal>,
}

impl<T> Opt<T> {
    pub(super) const fn new(
        section: &'static str,
        name: &'static str,
        reading: Reading<T>,
        default: Option<&'static str>,
        reader: Reader,
        about: &'static str,
    ) -> Self {
        let Reading { kind, parse } = reading;
        Self { spec: OptionSpec { section, name, kind, default, reader, about }, parse }
    }

    /// Its name.
    pub(super) const fn name(&self) -> &'static str {
        self.spec.name
    }
}

/// Declares options of a section: for each a constant that reads it, and the list of their rows.
///
/// ```text
/// options! {
///     /// Its rows.
///     pub(super) static ROWS: "pull", Reader::Pull {
///         TIMEOUT: Duration = value::TIME_LIMIT, "timeout", Some("0.1"), "Time for ...";
///     }
/// }
/// ```
///
/// A reader may stand before the sentence where it is not that of the section.
macro_rules! options {
    ($(#[$meta:meta])* $vis:vis static $rows:ident: $section:expr, $reader:path {
        $($option:ident: $type:ty = $reading:expr, $name:literal, $default:expr, $($own:path,)? $about:literal;)*
    }) => {
        $(
            #[doc = $about]
            static $option: $crate::config::option::Opt<$type> = $crate::config::option::Opt::new(
                $section,
                $name,
                $reading,
                $default,
                $crate::config::option::options!(@reader $reader $(, $own)?),
                $about,
            );
        )*

        $(#[$meta])*
        $vis static $rows: &[&$crate::config::option::OptionSpec] = &[$(&$option.spec),*];
    };
    (@reader $reader:path) => { $reader };
    (@reader $reader:path, $own:path) => { $own };
}

/// How one of a few words is read: `choice![("keep", QueueFull::Keep), ("drop-oldest", QueueFull::DropOldest)]`.
macro_rules! choice {
    [$(($word:literal, $value:expr)),* $(,)?] => {
        $crate::config::option::Reading::new(
            $crate::config::option::Type::Choice(&[$($word),*]),
            |text| $crate::config::value::choice(text, &[$(($word, $value)),*]),
        )
    };
}

pub(super) use {choice, options};

//! What a row of the table of options is made of. The rows stand in the files of their sections, declared by [`options!`]: a
//! constant for each, which also reads the value.

use super::program::Reader;
use super::reading::{Reading, Refusal, Type};

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
    /// The programs that read it.
    pub reader: Reader,
    /// What it does, for haproxystats.conf and docs/configuration.md.
    pub about: &'static str,
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

    pub(super) const fn name(&self) -> &'static str {
        self.spec.name
    }
}

/// Declares options of a section: for each a constant that reads it, and the list of their rows.
///
/// ```text
/// options! {
///     pub(crate) static ROWS: "pull", Pull {
///         TIMEOUT: Duration = value::TIME_LIMIT, "timeout", Some("0.1"), "Time for ...";
///     }
/// }
/// ```
///
/// Behind the section stands who reads it; before a sentence, who reads this option alone.
macro_rules! options {
    ($vis:vis static $rows:ident: $section:expr, $reader:ident {
        $($option:ident: $type:ty = $reading:expr, $name:literal, $default:expr, $($own:ident,)? $about:literal;)*
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

        $vis static $rows: &[&$crate::config::option::OptionSpec] = &[$(&$option.spec),*];
    };
    (@reader $reader:ident) => { $crate::config::program::Reader::$reader };
    (@reader $reader:ident, $own:ident) => { $crate::config::program::Reader::$own };
}

/// How one of a few words is read: `choice![("keep", QueueFull::Keep), ("drop-oldest", QueueFull::DropOldest)]`.
macro_rules! choice {
    [$(($word:literal, $value:expr)),* $(,)?] => {
        $crate::config::reading::Reading::new(
            $crate::config::reading::Type::Choice(&[$($word),*]),
            |text| $crate::config::value::choice(text, &[$(($word, $value)),*]),
        )
    };
}

pub(super) use {choice, options};

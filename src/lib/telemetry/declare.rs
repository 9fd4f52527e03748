//! How figures are declared.

/// Definitions of figures that are reported as samples, and the list of them:
///
/// ```text
/// definitions! {
///     /// Of haproxystats-agent.
///     pub(crate) static AGENT {
///         SERVICES "AgentServices" "services" Gauge "Services that are configured.";
///     }
/// }
/// ```
macro_rules! definitions {
    ($(#[$meta:meta])* $vis:vis static $table:ident {
        $($variable:ident $name:literal $unit:literal $kind:ident $about:literal;)*
    }) => {
        $(
            #[doc = $about]
            $vis static $variable: $crate::telemetry::Definition = $crate::telemetry::Definition {
                name: $name,
                unit: $unit,
                kind: $crate::telemetry::Kind::$kind,
                about: $about,
            };
        )*
        $(#[$meta])*
        // Read by the test that holds docs/metrics.md against the declarations.
        #[cfg_attr(not(test), allow(dead_code))]
        $vis static $table: &[&$crate::telemetry::Definition] = &[$(&$variable),*];
    };
}

/// Figures of a program or a snapshot that are reported by name. The variant is the last element of the metric's path.
#[cfg(feature = "process")]
macro_rules! figures {
    ($(#[$meta:meta])* $vis:vis enum $figure:ident {
        $($variant:ident $unit:literal $kind:ident $about:literal;)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        $vis enum $figure {
            $(#[doc = $about] $variant,)*
        }

        impl $figure {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// What it means.
            #[must_use]
            pub fn definition(self) -> &'static $crate::telemetry::Definition {
                match self {
                    $(Self::$variant => &$crate::telemetry::Definition {
                        name: stringify!($variant),
                        unit: $unit,
                        kind: $crate::telemetry::Kind::$kind,
                        about: $about,
                    },)*
                }
            }
        }
    };
}

/// A struct of numbers, each of which is a figure; times are held in microseconds. Figures stand in groups, since some
/// belong to some of those who count only.
macro_rules! counters {
    ($(#[$meta:meta])* $vis:vis struct $counters:ident {
        $($(#[$of:meta])* $group:ident {
            $($field:ident $name:literal $unit:literal $kind:ident $about:literal;)*
        })*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        $vis struct $counters {
            $($(#[doc = $about] pub $field: u64,)*)*
        }

        impl $counters {
            $(
                $(#[$of])*
                pub const $group: &[$crate::telemetry::Definition] = &[
                    $($crate::telemetry::Definition {
                        name: $name,
                        unit: $unit,
                        kind: $crate::telemetry::Kind::$kind,
                        about: $about,
                    },)*
                ];
            )*

            /// All definitions, in the order of [`Self::numbers`].
            pub fn definitions() -> impl Iterator<Item = &'static $crate::telemetry::Definition> {
                [$(Self::$group),*].into_iter().flatten()
            }

            /// All numbers.
            #[must_use]
            pub fn numbers(&self) -> Vec<u64> {
                vec![$($(self.$field,)*)*]
            }

            /// Adds what another one has counted.
            pub fn add(&mut self, more: &Self) {
                let mut definitions = Self::definitions();
                $($(
                    if let Some(definition) = definitions.next() {
                        self.$field = definition.both(self.$field, more.$field);
                    }
                )*)*
            }

            /// What is left of them when who counted is gone: the counters, and no gauge.
            #[must_use]
            pub fn lasting(mut self) -> Self {
                let mut definitions = Self::definitions();
                $($(
                    if definitions.next().is_some_and(|definition| definition.kind == $crate::telemetry::Kind::Gauge) {
                        self.$field = 0;
                    }
                )*)*
                self
            }
        }
    };
}

#[cfg(feature = "process")]
pub(crate) use figures;
pub(crate) use {counters, definitions};

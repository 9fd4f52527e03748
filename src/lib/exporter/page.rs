//! The text format of Prometheus, version 0.0.4.

use super::runtime;
use crate::telemetry::{Definition, Kind, Sample, name_of};
use std::fmt::Write;

/// The page. Each family of metrics is written once, as a whole.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

/// The samples of one family.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: String,
}

impl Page {
    /// A page with what every program tells: its version, and what the kernel says about its process. `program` is its
    /// name behind `haproxystats-`.
    #[must_use]
    pub fn of(program: &str) -> Self {
        let mut page = Self::default();
        let about = "The program and its version; always 1.";
        let labels = [("program", program), ("version", env!("CARGO_PKG_VERSION"))];
        page.family("haproxystats_build_info", Kind::Gauge, about).sample(&labels, 1.0);
        runtime::append(&mut page);
        page
    }

    /// Begins a family. `name` is written as it is: letters, digits and underscores.
    pub fn family(&mut self, name: &str, kind: Kind, about: &str) -> Family<'_> {
        let kind = if kind == Kind::Counter { "counter" } else { "gauge" };
        let help = about.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a String cannot fail; so below.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family { text: &mut self.text, name: name.to_owned() }
    }

    /// Begins the family of a figure from a table; see [`name_of`].
    pub fn figure(&mut self, prefix: &str, definition: &Definition) -> Family<'_> {
        self.family(&name_of(prefix, definition), definition.kind, definition.about)
    }

    /// Adds samples, those of one figure together; `prefix` says what stands before the name of a figure.
    pub fn samples(&mut self, prefix: impl Fn(&str) -> &'static str, samples: &[Sample<'_>]) {
        let mut done: Vec<&Definition> = Vec::new();
        for Sample { definition, .. } in samples {
            if done.iter().any(|known| std::ptr::eq(*known, *definition)) {
                continue;
            }
            done.push(definition);
            let mut family = self.figure(prefix(definition.name), definition);
            for sample in samples.iter().filter(|sample| std::ptr::eq(sample.definition, *definition)) {
                let labels: Vec<(&str, &str)> = sample.labels.iter().map(|(name, text)| (*name, &**text)).collect();
                family.sample(&labels, sample.value);
            }
        }
    }

    /// The page as it is sent.
    #[must_use]
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// Adds a sample. Values of labels may hold anything.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(&self.name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{label}=\"", if index == 0 { '{' } else { ',' });
            for letter in text.chars() {
                match letter {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = match value {
            f64::INFINITY => writeln!(self.text, " +Inf"),
            f64::NEG_INFINITY => writeln!(self.text, " -Inf"),
            // Display of f64 is exact and has no exponent; that of NaN is NaN.
            value => writeln!(self.text, " {value}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(name: &'static str, unit: &'static str, kind: Kind) -> Definition {
        Definition { name, unit, kind, about: "About." }
    }

    #[test]
    fn names_follow_the_conventions() {
        for (name, unit, kind, wanted) in [
            ("QueueDepth", "snapshots", Kind::Gauge, "haproxystats_process_queue_depth"),
            ("QueueOldestAge", "seconds", Kind::Gauge, "haproxystats_process_queue_oldest_age_seconds"),
            ("Retries", "attempts", Kind::Counter, "haproxystats_process_retries_total"),
            ("Bytes", "bytes", Kind::Counter, "haproxystats_process_bytes_total"),
            ("WallClockTimeHAProxy", "seconds", Kind::Gauge, "haproxystats_process_wall_clock_time_haproxy_seconds"),
        ] {
            assert_eq!(name_of("haproxystats_process_", &definition(name, unit, kind)), wanted);
        }
    }

    #[test]
    fn labels_are_escaped_and_values_are_numbers() {
        let mut page = Page::default();
        let mut family = page.family("a_b", Kind::Gauge, "Back\\slash\nand line.");
        family.sample(&[("x", "q\"b\\n\nü"), ("y", "")], 1.5);
        family.sample(&[], f64::INFINITY);
        family.sample(&[("z", "1")], f64::NAN);
        family.sample(&[], 1e18);
        let wanted = "# HELP a_b Back\\\\slash\\nand line.\n# TYPE a_b gauge\na_b{x=\"q\\\"b\\\\n\\nü\",y=\"\"} 1.5\n\
                      a_b +Inf\na_b{z=\"1\"} NaN\na_b 1000000000000000000\n";
        assert_eq!(page.into_text(), wanted);
    }

    #[test]
    fn every_page_tells_about_its_process() {
        let text = Page::of("pull").into_text();
        for name in
            ["haproxystats_build_info{program=\"pull\",version=", "process_resident_memory_bytes ", "process_open_fds "]
        {
            assert!(text.lines().any(|line| line.starts_with(name)), "{name} is missing in\n{text}");
        }
    }
}

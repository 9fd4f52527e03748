//! `key`: the template of message keys, which determine partitions.

use crate::config::reading::Refusal;
use crate::escape::visible;

/// `key`: a text with names of properties in braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTemplate(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Property(&'static str),
}

impl KeyTemplate {
    /// The names that are allowed in braces.
    const PROPERTIES: [&str; 5] = ["host", "cluster", "kind", "proxy", "server"];

    /// Reads a template.
    ///
    /// # Errors
    /// Braces do not match, or contain something else.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let known = || format!("write one of {{{}}}", Self::PROPERTIES.join("}, {"));
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, behind)) = rest.split_once(['{', '}']) {
            if rest.as_bytes().get(before.len()) == Some(&b'}') {
                return Err(format!("has a closing brace without an opening one; {}", known()));
            }
            let Some((name, after)) = behind.split_once('}') else {
                return Err(format!("has an opening brace without a closing one; {}", known()));
            };
            let Some(property) = Self::PROPERTIES.into_iter().find(|property| *property == name) else {
                return Err(format!("{{{name}}} is not a property of objects; {}", known()));
            };
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Property(property));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// Whether all hosts of a cluster have the same key, which depends on the cluster.
    #[must_use]
    pub(crate) fn is_the_cluster(&self) -> bool {
        self.0.contains(&Part::Property("cluster")) && !self.0.contains(&Part::Property("host"))
    }

    /// The key of an object with these properties; control characters in them are made visible.
    pub fn fill<'a>(&self, value: impl Fn(&str) -> &'a str) -> String {
        let part = |part: &'_ Part| match part {
            Part::Text(text) => text.clone(),
            Part::Property(name) => visible(value(name)).into_owned(),
        };
        self.0.iter().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_and_a_bad_one_says_what_is_known() {
        let fill = |text: &str| KeyTemplate::parse(text).unwrap().fill(|name| if name == "proxy" { "" } else { "x" });
        assert_eq!(fill("{host}/{proxy}"), "x/");
        assert_eq!(fill("a{server}b{kind}"), "axbx");
        assert_eq!((fill(""), fill("plain")), (String::new(), "plain".to_owned()));
        let odd = KeyTemplate::parse("{host}/{proxy}").unwrap().fill(|_| "a\n\u{1b}[2Jb");
        assert_eq!(odd, "a\\n\\u{1b}[2Jb/a\\n\\u{1b}[2Jb", "a key begins no line and clears no screen");
        for bad in ["{hots}", "{host", "host}", "{{host}}", "{}"] {
            let refusal = KeyTemplate::parse(bad).unwrap_err();
            assert!(refusal.contains("{host}, {cluster}"), "{bad}: {refusal}");
        }
    }
}

//! How names of metrics begin: `<namespace>[.<host>].haproxy[...].backend.www.`, and with tags `haproxy.backend.` and
//! `;host=lb-01;backend=www`.

/// Beginnings of the names of an object's metrics: one for each of its paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefixes {
    /// Without tags, with the dot behind the last element.
    pub plain: Box<[Box<[u8]>]>,
    /// With tags; empty where those are not wanted.
    pub tagged: Box<[Tagged]>,
}

/// What stands before and behind the metric in a name with tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// `haproxy.backend.`
    pub name: Box<[u8]>,
    /// `;host=lb-01;backend=www`
    pub tags: Box<[u8]>,
}

impl Tagged {
    /// `kind` is the element of the name behind `haproxy`; tags are their keys and values.
    #[must_use]
    pub fn new(kind: &str, tags: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        for (tag, value) in tags {
            text.extend([";", tag, "="]);
            // The one beginning that Graphite refuses.
            if value.starts_with('~') {
                text.push('_');
            }
            text.push_str(value);
        }
        let boxed = |text: String| text.into_bytes().into_boxed_slice();
        Self { name: boxed(format!("haproxy.{kind}.")), tags: boxed(text) }
    }
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct Prefix<'a> {
    /// Without tags.
    pub plain: &'a [u8],
    /// With tags, where those are wanted.
    pub tagged: Option<&'a Tagged>,
}

impl Prefixes {
    /// All of them.
    pub fn each(&self) -> impl Iterator<Item = Prefix<'_>> {
        self.plain.iter().enumerate().map(|(place, plain)| Prefix { plain, tagged: self.tagged.get(place) })
    }
}

//! The prefixes of metric names: `<namespace>[.<host>].haproxy[...].backend.www.`, and with tags `haproxy.backend.` and
//! `;host=lb-01;backend=www`.

/// The prefixes of an object's metrics: one for each of its paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefixes {
    /// Without tags, including the dot after the last element.
    pub plain: Box<[Box<[u8]>]>,
    /// With tags; empty if tags are not configured.
    pub tagged: Box<[Tagged]>,
}

/// What comes before and after the metric in a name with tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// `haproxy.backend.`
    pub name: Box<[u8]>,
    /// `;host=lb-01;backend=www`
    pub tags: Box<[u8]>,
}

impl Tagged {
    /// `kind` is the element of the name after `haproxy`; `tags` are keys and values.
    #[must_use]
    pub fn new(kind: &str, tags: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        for (tag, value) in tags {
            text.extend([";", tag, "="]);
            // Graphite refuses values that begin with it.
            if value.starts_with('~') {
                text.push('_');
            }
            text.push_str(value);
        }
        let boxed = |text: String| text.into_bytes().into_boxed_slice();
        Self { name: boxed(format!("haproxy.{kind}.")), tags: boxed(text) }
    }
}

/// The prefix for one path.
#[derive(Debug, Clone, Copy)]
pub struct Prefix<'a> {
    /// Without tags.
    pub plain: &'a [u8],
    /// With tags, if they are configured.
    pub tagged: Option<&'a Tagged>,
}

impl Prefixes {
    /// The prefixes for all paths.
    pub fn each(&self) -> impl Iterator<Item = Prefix<'_>> {
        self.plain.iter().enumerate().map(|(place, plain)| Prefix { plain, tagged: self.tagged.get(place) })
    }
}

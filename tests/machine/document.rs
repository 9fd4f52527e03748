//! The fenced blocks of a document, by the headings above them.

use crate::harness::root;

/// A fenced block.
#[derive(Debug, Clone)]
pub struct Block {
    /// The heading above it.
    pub heading: String,
    /// What follows the fence: sh, ini, yaml, puppet, text.
    pub language: String,
    pub text: String,
}

/// A document of the project, as it is in the source.
pub struct Document {
    name: &'static str,
    text: String,
}

impl Document {
    pub fn readme() -> Self {
        Self::read("README.md")
    }

    pub fn installation() -> Self {
        Self::read("docs/installation.md")
    }

    fn read(name: &'static str) -> Self {
        Self { name, text: std::fs::read_to_string(root().join(name)).unwrap() }
    }

    /// All blocks, in their order.
    pub fn blocks(&self) -> Vec<Block> {
        let (mut heading, mut blocks, mut open) = (String::new(), Vec::new(), None::<Block>);
        for line in self.text.lines() {
            match (&mut open, line.strip_prefix("```")) {
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => block.text.push_str(&format!("{line}\n")),
                (None, Some(language)) => {
                    let (heading, language) = (heading.clone(), language.to_owned());
                    open = Some(Block { heading, language, text: String::new() });
                }
                (None, None) if line.starts_with('#') => line.trim_start_matches('#').trim().clone_into(&mut heading),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block has no end", self.name);
        blocks
    }

    /// The blocks of a language under a heading; another number of them is another recipe.
    #[track_caller]
    pub fn under<const COUNT: usize>(&self, heading: &str, language: &str) -> [Block; COUNT] {
        let is_meant = |block: &Block| block.heading == heading && block.language == language;
        let found: Vec<Block> = self.blocks().into_iter().filter(is_meant).collect();
        found.try_into().unwrap_or_else(|found| panic!("{}, {heading}: not {COUNT} blocks: {found:?}", self.name))
    }

    /// What begins with `start` between backquotes in the text.
    #[track_caller]
    pub fn inline(&self, start: &str) -> String {
        let prose: String = self.text.split("```").step_by(2).collect();
        let found: Vec<&str> = prose.split('`').skip(1).step_by(2).filter(|code| code.starts_with(start)).collect();
        let [code] = found[..] else { panic!("{}: what begins with {start:?}: {found:?}", self.name) };
        code.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl Block {
    /// Its commands, without comments, each on one line.
    pub fn commands(&self) -> Vec<String> {
        let joined = self.text.replace("\\\n", " ");
        let lines = joined.lines().map(|line| line.split(" #").next().unwrap_or_default());
        let lines = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
    }
}

/// `configuration` with the options of `ini`: an option that it has gets the new value, a section that it does not have
/// comes at its end.
pub fn with_options(configuration: &str, ini: &str) -> String {
    let mut lines: Vec<String> = configuration.lines().map(str::to_owned).collect();
    let mut head = 0;
    for line in ini.lines().filter(|line| !line.is_empty()) {
        if line.starts_with('[') {
            head = lines.iter().position(|own| own == line).unwrap_or_else(|| {
                lines.push(line.to_owned());
                lines.len() - 1
            });
            continue;
        }
        let name = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
        let mut section = lines.iter().skip(head + 1).take_while(|own| !own.starts_with('['));
        match section.position(|own| name(own) == name(line)) {
            Some(at) => line.clone_into(&mut lines[head + 1 + at]),
            None => lines.insert(head + 1, line.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

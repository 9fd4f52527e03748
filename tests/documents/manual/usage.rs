//! What a program says about its command line, read from its `--help` (a docopt text).

use std::process::Command;

/// A command line as the help describes it.
#[derive(Debug)]
pub struct Usage {
    /// Name of the program.
    pub program: String,
    /// The first sentence.
    pub about: String,
    /// The ways to call it, without the name of the program.
    pub patterns: Vec<String>,
    pub options: Vec<Opt>,
    /// Words that are no options: the first of a pattern, in place of options.
    pub commands: Vec<String>,
}

/// One option.
#[derive(Debug, Default)]
pub struct Opt {
    pub short: Option<char>,
    /// Without dashes.
    pub long: String,
    /// The name of its value, without brackets.
    pub value: Option<String>,
    pub about: String,
    pub default: Option<String>,
}

impl Opt {
    /// What a value completes to.
    pub fn complete(&self) -> Complete {
        match self.value.as_deref() {
            None => Complete::Nothing,
            Some("file" | "path" | "place" | "snapshot" | "state") => Complete::Files,
            Some("dir") => Complete::Directories,
            Some(_) => Complete::Nothing,
        }
    }
}

/// What may stand behind an option, as far as a shell can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complete {
    Nothing,
    Files,
    Directories,
}

impl Usage {
    /// Asks the program.
    pub fn of(program: &str, executable: &str) -> Self {
        let output = Command::new(executable).arg("--help").output().expect("the program starts");
        let text = String::from_utf8(output.stdout).expect("help is UTF-8");
        Self::read(program, &text)
    }

    fn read(program: &str, text: &str) -> Self {
        let (about, rest) = text.split_once("\n\n").expect("a first sentence");
        let section = |title: &str| {
            let start = rest.split_once(&format!("{title}:\n")).map(|(_, section)| section);
            start.map(|section| section.split("\n\n").next().unwrap_or_default()).unwrap_or_default()
        };
        let lines = section("Usage").lines().map(str::trim);
        let patterns: Vec<String> =
            lines.filter_map(|line| line.strip_prefix(program).map(|pattern| pattern.trim().to_owned())).collect();
        let first_words = patterns.iter().filter_map(|pattern| pattern.split_whitespace().next());
        let mut commands: Vec<String> =
            first_words.filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())).map(str::to_owned).collect();
        commands.dedup();
        Self {
            program: program.to_owned(),
            about: about.split_whitespace().collect::<Vec<_>>().join(" "),
            patterns,
            options: options(section("Options")),
            commands,
        }
    }

    /// Options of which a pattern allows one at a time: `[-p | -P | --check]`, each in its long form.
    pub fn alternatives(&self) -> Vec<Vec<&Opt>> {
        let groups = self.patterns.iter().flat_map(|pattern| pattern.split('[').skip(1));
        let groups = groups.filter_map(|group| group.split(']').next()).filter(|group| group.contains(" | "));
        groups.map(|group| group.split(" | ").filter_map(|word| self.find(word.split(' ').next()?)).collect()).collect()
    }

    fn find(&self, word: &str) -> Option<&Opt> {
        let long = word.strip_prefix("--");
        let short = word.strip_prefix('-').and_then(|rest| rest.chars().next());
        self.options.iter().find(|option| match long {
            Some(long) => option.long == long,
            None => option.short.is_some() && option.short == short,
        })
    }
}

/// `    -f, --file <file>  about` and what is indented below it.
fn options(section: &str) -> Vec<Opt> {
    let mut options: Vec<Opt> = Vec::new();
    for line in section.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if !line.starts_with('-') {
            let about = &mut options.last_mut().expect("an option before its continuation").about;
            about.push(' ');
            about.push_str(line);
            continue;
        }
        let (words, about) = line.split_once("  ").unwrap_or((line, ""));
        let mut option = Opt { about: about.trim().to_owned(), ..Opt::default() };
        for word in words.split([' ', ',', '=']).filter(|word| !word.is_empty()) {
            if let Some(long) = word.strip_prefix("--") {
                option.long = long.to_owned();
            } else if let Some(short) = word.strip_prefix('-') {
                option.short = short.chars().next();
            } else {
                option.value = Some(word.trim_matches(['<', '>']).to_owned());
            }
        }
        assert!(!option.long.is_empty(), "an option without a long form: {line}");
        options.push(option);
    }
    for option in &mut options {
        if let Some((about, rest)) = option.about.clone().split_once("[default: ") {
            option.about = about.trim().to_owned();
            option.default = rest.strip_suffix(']').map(str::to_owned);
        }
    }
    options
}

#[test]
fn a_help_text_is_understood() {
    let text = "Does it.\n\nUsage:\n    it run [-f <file>] [-p | -P | --once <snapshot>]\n    it --explain <line>\n\n\
                Options:\n    -f, --file <file>  file with\n                       settings [default: /etc/it]\n    \
                -p, --print        show\n    -P, --Print        more\n    --once <snapshot>  one\n    --explain <line>   say\n";
    let usage = Usage::read("it", text);
    assert_eq!(usage.patterns, ["run [-f <file>] [-p | -P | --once <snapshot>]", "--explain <line>"]);
    assert_eq!(usage.commands, ["run"]);
    assert_eq!(usage.options.len(), 5);
    let file = &usage.options[0];
    assert_eq!((file.short, file.long.as_str(), file.value.as_deref()), (Some('f'), "file", Some("file")));
    assert_eq!((file.about.as_str(), file.default.as_deref()), ("file with settings", Some("/etc/it")));
    let alternatives: Vec<Vec<&str>> =
        usage.alternatives().iter().map(|group| group.iter().map(|o| o.long.as_str()).collect()).collect();
    assert_eq!(alternatives, [["print", "Print", "once"]]);
}

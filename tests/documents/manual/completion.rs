//! Completions for bash, zsh and fish, made from the help texts.

use super::usage::{Complete, Opt, Usage};
use std::fmt::Write;

const NOTE: &str = "Made from the help text of the program; a test holds this file against it.";

/// All words that begin with a dash: short forms first, as in the help.
fn words(option: &Opt) -> Vec<String> {
    let short = option.short.map(|letter| format!("-{letter}"));
    short.into_iter().chain([format!("--{}", option.long)]).collect()
}

/// `haproxystats-pull` becomes `_haproxystats_pull`.
fn function(usage: &Usage) -> String {
    format!("_{}", usage.program.replace('-', "_"))
}

/// For bash 4.4 or newer; needs nothing of the package bash-completion.
pub fn bash(usage: &Usage) -> String {
    let name = function(usage);
    let with = |kind: Complete| -> Vec<String> {
        let options = usage.options.iter().filter(|option| option.value.is_some() && option.complete() == kind);
        options.flat_map(words).collect()
    };
    let mut text = format!(
        "# {NOTE}\n\n{name}() {{\n    local current=${{COMP_WORDS[COMP_CWORD]}} option=${{COMP_WORDS[COMP_CWORD - 1]}}\n    \
         # bash splits --file=name at the equals sign.\n    if [[ $current == '=' ]]; then\n        current=\n    \
         elif [[ $option == '=' ]]; then\n        option=${{COMP_WORDS[COMP_CWORD - 2]}}\n    fi\n    COMPREPLY=()\n    \
         case $option in\n"
    );
    for (kind, letter) in [(Complete::Files, 'f'), (Complete::Directories, 'd')] {
        let words = with(kind);
        if !words.is_empty() {
            let _ = write!(
                text,
                "        {})\n            mapfile -t COMPREPLY < <(compgen -{letter} -- \"$current\")\n            \
                 compopt -o filenames 2>/dev/null\n            return 0\n            ;;\n",
                words.join(" | ")
            );
        }
    }
    let words_alone = with(Complete::Nothing);
    if !words_alone.is_empty() {
        let _ = writeln!(text, "        {}) return 0 ;;", words_alone.join(" | "));
    }
    let all: Vec<String> = usage.options.iter().flat_map(words).chain(usage.commands.clone()).collect();
    let _ = write!(
        text,
        "    esac\n    mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$current\")\n}}\n\ncomplete -F {name} {}\n",
        all.join(" "),
        usage.program
    );
    text
}

/// For zsh, to be found in a directory of `$fpath`.
pub fn zsh(usage: &Usage) -> String {
    let alternatives = usage.alternatives();
    let mut text = format!("#compdef {}\n# {NOTE}\n\n_arguments -s \\\n", usage.program);
    for option in &usage.options {
        let own = words(option);
        let group = alternatives.iter().find(|group| group.iter().any(|o| o.long == option.long));
        let excluded = match (option.long.as_str(), group) {
            ("help" | "version", _) => "- *".to_owned(),
            (_, Some(group)) => group.iter().flat_map(|o| words(o)).collect::<Vec<_>>().join(" "),
            (_, None) => own.join(" "),
        };
        let about = option.about.replace(['[', ']', '\''], "").replace(':', "\\:");
        let value = option.value.as_ref().map_or_else(String::new, |value| {
            let action = match option.complete() {
                Complete::Files => "_files",
                Complete::Directories => "_files -/",
                Complete::Nothing => " ",
            };
            format!(":{value}:{action}")
        });
        let forms = match (option.short, &option.value) {
            (Some(short), Some(_)) => format!("{{-{short}+,--{}=}}", option.long),
            (Some(short), None) => format!("{{-{short},--{}}}", option.long),
            (None, Some(_)) => format!("--{}=", option.long),
            (None, None) => format!("--{}", option.long),
        };
        let _ = writeln!(text, "    '({excluded})'{forms}'[{about}]{value}' \\");
    }
    if !usage.commands.is_empty() {
        let _ = writeln!(text, "    '1:command:({})' \\", usage.commands.join(" "));
    }
    text.truncate(text.trim_end_matches(" \\\n").len());
    text.push('\n');
    text
}

/// For fish.
pub fn fish(usage: &Usage) -> String {
    let mut text = format!("# {NOTE}\n\ncomplete -c {} -f\n", usage.program);
    for option in &usage.options {
        let short = option.short.map_or_else(String::new, |letter| format!(" -s {letter}"));
        let value = match (&option.value, option.complete()) {
            (None, _) => "",
            (Some(_), Complete::Nothing) => " -x",
            (Some(_), Complete::Files) => " -r -F",
            (Some(_), Complete::Directories) => " -x -a '(__fish_complete_directories)'",
        };
        let about = option.about.replace('\'', "\\'");
        let _ = writeln!(text, "complete -c {}{short} -l {}{value} -d '{about}'", usage.program, option.long);
    }
    for command in &usage.commands {
        let _ = writeln!(text, "complete -c {} -n __fish_use_subcommand -a {command}", usage.program);
    }
    text
}

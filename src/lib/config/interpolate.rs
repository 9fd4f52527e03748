//! References in values: `${option}`, `${section:option}`, and `$$` for a dollar.
//!
//! The rules are those of Python's `configparser.ExtendedInterpolation`: a value is resolved when it is asked for,
//! values that it refers to are resolved in their own section, and references nest ten deep.

use super::ini::{Ini, Place};
use super::nearest::did_you_mean;
use super::reader::DEFAULT_SECTION;
use thiserror::Error;

/// How deep references may nest (Python's `MAX_INTERPOLATION_DEPTH`).
const MAX_DEPTH: usize = 10;

/// Most bytes of a resolved value, and most references on the way to it. Python has no limit; ten levels of
/// `${a}${a}${a}...` would fill any memory, or take forever when the innermost value is empty.
const MAX_BYTES: usize = 1 << 20;
const MAX_REFERENCES: usize = 10_000;

/// Why a reference cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reason {
    /// A dollar without `{` or `$` behind it.
    #[error("a $ that does not begin a reference must be written $$ (found {0:?})")]
    LoneDollar(String),
    /// `${` without an end, or without a name.
    #[error("the reference {0:?} is incomplete; write ${{option}} or ${{section:option}}")]
    Incomplete(String),
    /// More than one colon.
    #[error("the reference ${{{0}}} has more than one colon; write ${{option}} or ${{section:option}}")]
    ManyColons(String),
    /// No such option.
    #[error("the reference ${{{name}}} does not name an option{advice}")]
    Missing {
        /// What stands between the braces.
        name: String,
        /// The nearest name that would lead somewhere, in words; may be empty.
        advice: String,
    },
    /// References nest too deep, as they do when they lead back to themselves.
    #[error("references nest more than {MAX_DEPTH} deep; does the value refer to itself?")]
    Depth,
    /// The value grows beyond reason, or has too many references.
    #[error("the value grows beyond {MAX_BYTES} bytes or {MAX_REFERENCES} references")]
    Size,
}

/// A value that cannot be resolved, with the place of the text at fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct InterpolationError {
    /// Section of the text at fault: another one than was asked for, when the fault is behind a reference.
    pub section: String,
    /// Option of the text at fault.
    pub option: String,
    /// The text at fault.
    pub text: String,
    /// Where that was written.
    pub place: Option<Place>,
    /// What is wrong.
    pub reason: Reason,
}

/// The value of an option with its references resolved; `None` where section or option is missing.
pub(super) fn value(ini: &Ini, section: &str, option: &str) -> Result<Option<String>, Box<InterpolationError>> {
    let Some(raw) = ini.raw(section, option) else { return Ok(None) };
    let mut resolver = Resolver { ini, out: String::with_capacity(raw.text.len()), references: 0 };
    resolver.append(section, option, &raw.text, 1)?;
    Ok(Some(resolver.out))
}

/// One value that is being resolved.
struct Resolver<'a> {
    ini: &'a Ini,
    out: String,
    /// References followed so far.
    references: usize,
}

impl Resolver<'_> {
    fn append(&mut self, section: &str, option: &str, text: &str, depth: usize) -> Result<(), Box<InterpolationError>> {
        let ini = self.ini;
        let fail = |reason| {
            Err(Box::new(InterpolationError {
                section: section.to_owned(),
                option: option.to_owned(),
                text: text.to_owned(),
                place: ini.raw(section, option).and_then(|raw| raw.place),
                reason,
            }))
        };
        if depth > MAX_DEPTH {
            return fail(Reason::Depth);
        }
        let mut rest = text;
        while let Some((plain, dollar)) = rest.split_once('$') {
            self.out.push_str(plain);
            if let Some(tail) = dollar.strip_prefix('$') {
                self.out.push('$');
                rest = tail;
                continue;
            }
            let Some(inner) = dollar.strip_prefix('{') else {
                return fail(Reason::LoneDollar(excerpt(dollar)));
            };
            let Some((name, tail)) = inner.split_once('}').filter(|(name, _)| !name.is_empty()) else {
                return fail(Reason::Incomplete(excerpt(dollar)));
            };
            rest = tail;
            let (from, wanted) = match name.split_once(':') {
                None => (section, name),
                Some((_, option)) if option.contains(':') => return fail(Reason::ManyColons(name.to_owned())),
                Some((section, option)) => (section, option),
            };
            let wanted = wanted.to_lowercase();
            let Some(raw) = ini.raw(from, &wanted) else {
                return fail(Reason::Missing { name: name.to_owned(), advice: advice(ini, section, option, name) });
            };
            self.references += 1;
            if raw.text.contains('$') {
                self.append(from, &wanted, &raw.text, depth + 1)?;
            } else {
                self.out.push_str(&raw.text);
            }
            if self.out.len() > MAX_BYTES || self.references > MAX_REFERENCES {
                return fail(Reason::Size);
            }
        }
        self.out.push_str(rest);
        Ok(())
    }
}

/// Names the option that a misspelt reference was meant for, if one is near.
fn advice(ini: &Ini, section: &str, option: &str, name: &str) -> String {
    let mut known: Vec<String> = Vec::new();
    if name.contains(':') {
        for section in ini.sections().chain([DEFAULT_SECTION]) {
            known.extend(ini.options(section).into_iter().map(|option| format!("{section}:{option}")));
        }
    } else {
        known.extend(ini.options(section).into_iter().filter(|other| *other != option).map(str::to_owned));
    }
    did_you_mean(name, known.iter().map(String::as_str))
}

/// The beginning of what follows a dollar, short enough for a message.
fn excerpt(rest: &str) -> String {
    std::iter::once('$').chain(rest.chars().take(30)).collect()
}

//! `--explain METRIC [SNAPSHOT]`: how a metric is calculated, or why there is none.
//!
//! What is sent is not worked out here: the snapshot is processed as ever, and the value is the one that came out ([`watch`]).
//! Rules are those of the catalogue and the plan. Only files, rows and cells are read once more, as they stand, to be shown.

mod asked;
mod daemon;
mod nothing;
mod own;
mod reason;
mod rows;
mod subject;
mod told;
mod watch;

use super::once::{Source, render};
use super::pipeline::{Holding, Pipeline};
use crate::config::{Config, GroupNamespace};
use crate::encode::prefix::Prefixes;
use crate::exit;
use crate::snapshot::Epoch;
use crate::snapshot::list::list;
use crate::startup::say;
use asked::{Asked, sent_names, text};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use subject::{Of, Subject, find};
use told::Told;
use watch::{Seen, Watch};

/// Explains, by the snapshot at this path or the newest in `src-dir`; the exit code: 0 when the metric is sent, 1 when not, 66
/// when there is no such snapshot.
#[must_use]
pub(super) fn run(config: &Config, hostname: &str, metric: &str, snapshot: Option<&Path>) -> u8 {
    let explained = open(config, hostname, snapshot).and_then(|source| explain(config, &source, metric));
    explained.unwrap_or_else(|code| code)
}

fn open(config: &Config, hostname: &str, snapshot: Option<&Path>) -> Result<Source, u8> {
    let src_dir = &config.process.src_dir;
    let newest = || -> Option<PathBuf> { Some(src_dir.join(list(src_dir).ok()?.snapshots.last()?.to_string())) };
    let Some(path) = snapshot.map(Path::to_owned).or_else(newest) else {
        tracing::error!(directory = %src_dir.display(), "there is no snapshot; name one after the metric");
        return Err(exit::NO_INPUT);
    };
    Source::open(&path, hostname)
}

fn explain(config: &Config, source: &Source, metric: &str) -> Result<u8, u8> {
    let failed = |error: std::io::Error| {
        tracing::error!(snapshot = %source.dir().display(), %error, "cannot be read");
        exit::NO_INPUT
    };
    let (dir, host) = (source.dir(), source.hostname());
    let asked = Asked::new(metric);
    let mut told = Told::new(metric, source);
    let inventory = |config: &Config| Pipeline::plaintext(config, host).inventory(config, host, dir);
    let every_name = inventory(&with_every_name(config)).map_err(failed)?;
    let Some(subject) = find(&asked, dir, &every_name).map_err(failed)? else {
        told.absent(&nothing::say(&asked, dir, &inventory(config).map_err(failed)?));
        return Ok(end(&told, false));
    };
    let holdings = inventory(config).map_err(failed)?;
    let Some(holding) = holdings.get(subject.holding) else { return Ok(end(&told, false)) };
    let prefixes = holding.paths.of(subject.of.about());
    let seen = values(config, source, &prefixes, &subject.metric)?;
    told.sent(&asked, &sent_names(&prefixes, &subject.metric), seen.values().next());
    describe(&mut told, config, source, holding, &subject, seen.is_empty());
    Ok(end(&told, !seen.is_empty()))
}

fn end(told: &Told, sent: bool) -> u8 {
    match say(told.text()) {
        exit::OK if !sent => exit::FAILURE,
        code => code,
    }
}

/// The configuration under which every object has every name that it could have: with tags and without, of its group and its
/// own.
fn with_every_name(config: &Config) -> Config {
    let mut config = config.clone();
    (config.graphite.enabled, config.graphite.tagged) = (true, true);
    let group = config.graphite.group_namespace.take();
    config.graphite.group_namespace = group.map(|group| GroupNamespace { double_writes: true, ..group });
    config
}

/// What comes out under these names when the snapshot is processed.
fn values(config: &Config, source: &Source, names: &Prefixes, metric: &str) -> Result<BTreeMap<String, String>, u8> {
    let seen = Seen::default();
    let paths = names.plain.iter().map(|prefix| format!("{}{metric}", text(prefix))).collect();
    let watch = Box::new(Watch::new(paths, Rc::clone(&seen)));
    let mut pipeline = Pipeline::only(config, source.hostname(), watch);
    render(config, &mut pipeline, source, |_| Ok(()))?;
    pipeline.end();
    Ok(seen.take())
}

/// The object, its field, the rule, the values, and why there is nothing, where there is nothing.
fn describe(told: &mut Told, config: &Config, source: &Source, holding: &Holding, subject: &Subject, absent: bool) {
    told.object(holding, subject);
    let (of, metric) = (&subject.of, &subject.metric);
    match of {
        Of::Own => {
            let (definition, why) = own::explain(config, metric);
            if let Some(definition) = definition {
                told.line("meaning", &format!("{} [{}]", definition.about, definition.unit));
            }
            if absent {
                told.absent(why);
            }
        }
        Of::Daemon | Of::Process(..) => {
            let (fields, rule) = daemon::made_of(of, metric);
            told.info(&fields, &rule);
            let files = holding.info.iter().filter(|(_, file)| !matches!(of, Of::Process(_, own) if own != file));
            let values = told.info_lines(source.dir(), files, &fields);
            if absent {
                told.absent(&daemon::reason(config, of, metric, &values));
            }
        }
        Of::Frontend(_) | Of::Backend(_) | Of::Server(..) | Of::ServerTotal(_) => {
            let Some(kind) = of.kind() else { return };
            told.field(config, kind, subject);
            told.rows(&subject.rows);
            if absent {
                let mut pipeline = Pipeline::plaintext(config, source.hostname());
                told.absent(&reason::reason(config, &mut pipeline, subject, kind));
            }
        }
    }
}

/// The second that a snapshot is of, in both forms.
fn moment(epoch: Epoch) -> String {
    format!("{epoch} ({})", crate::snapshot::moment::Rfc3339(epoch))
}

//! Signals, and the reload: server and client end where they stand, and others with the new configuration go on. Everything that
//! they need to begin is opened before, so that a configuration that cannot be used changes nothing.
//!
//! The lease is kept where the store and the name of the server are the same: no other server takes over meanwhile, and the
//! store has to be the same object, since some hold the lease by a session of their own.

use super::front::{FRONT, missing};
use super::stop::Why;
use super::{Configured, configured, files, log_settings, source, store};
use crate::cli::{Discover, Run};
use crate::config;
use crate::config::load::Loaded;
use crate::config::problem::Problem;
use crate::daemon::signals::{Signals, Told};
use crate::daemon::systemd;
use crate::exit;
use crate::logging::Chain;
use std::cell::Cell;
use std::convert::Infallible;
use std::path::Path;
use std::rc::Rc;
use tokio::sync::watch;

/// Another configuration, ready to begin.
pub(super) struct Prepared {
    pub(super) config: config::Discovery,
    pub(super) exporter: config::Exporter,
    pub(super) store: Rc<dyn store::Store>,
}

/// What is at work.
pub(super) struct Present {
    pub(super) discover: Discover,
    pub(super) config: Rc<config::Discovery>,
    pub(super) store: Rc<dyn store::Store>,
}

/// Heeds signals beside the work: the end, for which `stop` is told, or a reload, for which `next` has what comes then.
pub(super) async fn heed(
    signals: &mut Signals,
    present: &Present,
    stop: watch::Sender<Option<Why>>,
    next: &Cell<Option<Prepared>>,
) -> Infallible {
    let secrets = contents(&present.config);
    loop {
        let told = signals.next().await;
        if told == Told::Hangup && present.discover.run == Run::Loop {
            if let Some((prepared, why)) = prepare(present, &secrets).await {
                next.set(Some(prepared));
                let _ = stop.send(Some(why));
            }
            continue;
        }
        tracing::info!(signal = %told, "haproxystats-discovery is stopping");
        systemd::stopping();
        next.take();
        // Where nobody waits any more, everything has ended already.
        let _ = stop.send(Some(Why::End));
        // A second signal means that there is no time to wait for a store or a HAProxy that hangs.
        tracing::warn!(signal = %signals.next().await, "haproxystats-discovery exits at once: second signal");
        std::process::exit(exit::OK.into());
    }
}

/// Reads the configuration again, and opens what it needs.
async fn prepare(present: &Present, secrets: &[Option<Vec<u8>>]) -> Option<(Prepared, Why)> {
    let loaded = FRONT.reload(|loaded| wrong(present.discover, loaded))?;
    let Configured { config, exporter } = configured(present.discover, &loaded);
    let same = is_same_store(&config, &present.config) && contents(&config) == secrets;
    let opened = async {
        if present.discover.server {
            // Whether it can be: the server opens its own.
            drop(source::open(&config).await.map_err(|error| Chain(&error).to_string())?);
        }
        if same {
            return Ok(Rc::clone(&present.store));
        }
        store::open(&config).await.map_err(|error| Chain(&error).to_string())
    };
    match opened.await {
        Ok(store) => {
            let why = if same && config.server.name == present.config.server.name { Why::Reload } else { Why::End };
            FRONT.reloaded(log_settings(&loaded.config));
            Some((Prepared { config, exporter, store }, why))
        }
        Err(error) => {
            FRONT.keep(error);
            None
        }
    }
}

/// What is wrong with the configuration, or the files that it names.
fn wrong(discover: Discover, loaded: &Loaded) -> Vec<Problem> {
    let files = files::check(&loaded.config.discovery, &loaded.ini);
    missing(discover, loaded).into_iter().chain(files.errors).collect()
}

fn is_same_store(one: &config::Discovery, other: &config::Discovery) -> bool {
    one.store == other.store && one.state_dir == other.state_dir && one.region == other.region
}

/// What is in the files that the store was opened with.
fn contents(config: &config::Discovery) -> Vec<Option<Vec<u8>>> {
    let config::discovery::Store { token_file, credentials_file, tls, .. } = &config.store;
    let identity = tls.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
    let files = token_file.iter().chain(credentials_file).chain(&tls.ca_file).chain(identity);
    files.map(|path: &std::path::PathBuf| std::fs::read::<&Path>(path).ok()).collect()
}

//! A worker process: one thread that takes a snapshot, renders it, hands the lines to the dispatchers, and tells the
//! parent when every destination has them. It changes no snapshot, so it may be killed at any moment.
//!
//! It obeys its channel alone. Signals to leave are the parent's to answer (systemd and terminals send them to the
//! whole group); the end of the channel means that the parent has died, and then there is nobody to work for.

mod buffers;
mod deliver;
mod destination;
mod error;
mod eyes;
mod heed;
pub mod memory;
mod panics;
mod pull_counters;
mod renderer;
mod setup;
mod state;
mod trap;

pub(super) use pull_counters::pull_counters;

use super::wire::message::Figures;
use crate::config::LogLevel;
use crate::dispatch::bounds::Bounds;
use crate::exit;
use crate::logging::{self, Chain};
use crate::render::pieces::{Outlet, Pieces};
use crate::snapshot::Epoch;
use error::WorkerError;
use eyes::Eyes;
use nix::sys::signal::Signal;
use renderer::{Follows, Renderer};
use state::{Step, Stop, Worker};
use std::io;
use std::pin::pin;

/// Runs a worker whose configuration lies in this descriptor; returns the exit code.
#[must_use]
pub fn main(config: i32) -> u8 {
    match start(config) {
        Ok(()) => exit::OK,
        // Nobody is left to hear of it.
        Err(WorkerError::Channel(error)) if error.kind() == io::ErrorKind::BrokenPipe => orphaned(),
        Err(error) => {
            logging::init(logging::Settings { level: LogLevel::Info, format: None }, logging::Output::Stdout);
            tracing::error!(error = %Chain(&error), "worker failed");
            match error {
                WorkerError::SetUp(_) | WorkerError::Config(_) | WorkerError::Channel(_) => exit::SYSTEM,
                _ => exit::FAILURE,
            }
        }
    }
}

fn orphaned() -> u8 {
    tracing::warn!("the parent has died; exiting");
    exit::OK
}

fn start(config: i32) -> Result<(), WorkerError> {
    // Should the parent die while this process is busy or stopped, the kernel ends it. Before anything else; should
    // the parent be dead already, the channel says so.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(|errno| WorkerError::SetUp(errno.into()))?;
    setup::name_process();
    memory::tune();
    let end = setup::take_channel()?;
    let config = setup::read_config(config)?;
    logging::init(super::log_settings(&config), logging::Output::Stdout);
    panics::watch();
    let eyes = Eyes::open()?;
    let mut worker = eyes.look(async { Worker::new(&config, end) })?;
    let mut renderer = Renderer::new(&config, worker.hostname.clone());
    loop {
        let stop = match eyes.look(worker.next())? {
            Step::Take { epoch, figures, before, had } => {
                worker.asked = false;
                worker.begin(epoch, None, &had);
                process(&eyes, &mut worker, &mut renderer, (epoch, figures), Follows::Any(before))
            }
            Step::Again { epoch, destination } => {
                let figures = worker.open.get(&epoch).and_then(|open| open.figures.clone());
                worker.begin(epoch, Some(destination), &[]);
                process(&eyes, &mut worker, &mut renderer, (epoch, figures), Follows::Nothing)
            }
            Step::Drain(deadline) => Err(Stop::Leaving(deadline)),
            Step::Orphaned => Err(Stop::Orphaned),
        };
        match stop {
            Ok(()) => {}
            // The rest of it stays on disk.
            Err(Stop::Leaving(deadline)) => return eyes.look(worker.drain(deadline)),
            Err(Stop::Orphaned) => {
                orphaned();
                return Ok(());
            }
            Err(Stop::Failed(error)) => return Err(error),
        }
    }
}

/// Renders a snapshot that the worker has begun, and hands it over, piece by piece.
fn process(
    eyes: &Eyes,
    worker: &mut Worker,
    renderer: &mut Renderer<'_>,
    (epoch, figures): (Epoch, Option<Figures>),
    follows: Follows,
) -> Result<(), Stop> {
    if std::mem::take(&mut worker.gave_up) {
        renderer.forget();
    }
    let outlet = Outlet::new(Bounds::get().piece);
    let buffer = worker.buffers.take();
    // Outside of the event loop: polars refuses to run inside of one that has a single thread.
    let outcome = {
        let rendering = pin!(renderer.render(epoch, figures.as_ref(), follows, buffer, &outlet));
        let mut pieces = Pieces::new(&outlet, rendering);
        while let Some(piece) = pieces.next_piece() {
            outlet.give(eyes.look(worker.piece(piece))?);
        }
        pieces.end()
    };
    Ok(eyes.look(worker.hand_over(figures, outcome))?)
}

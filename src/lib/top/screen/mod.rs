//! The interactive screen: handles keys and ticks, and draws.

mod draw;
mod facts;
mod feed;
mod help;
mod items;
mod level;
mod paint;
mod player;
mod terminal;
mod view;

use super::read::tick::Tick;
use super::source::Live;
use super::{once, refuse};
use crate::cli::Top;
use crate::config::Config;
use crate::daemon::{host, signals::Signals};
use crate::exit;
use crate::injection;
use crate::logging::Chain;
use crate::pull::gather::GatherError;
use crate::pull::pace::Pace;
use draw::{Origin, draw};
use feed::Feed;
use items::Items;
use paint::Palette;
use player::Player;
use std::io;
use std::time::Duration;
use terminal::{News, Screen};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until};
use view::{Effect, View};

/// For tests only: a panic while the program controls the terminal. See [`injection`].
const PANIC: &str = "HAPROXYSTATS_TEST_TOP_PANIC";
/// The range of intervals, in seconds, that keys can set.
const INTERVALS: std::ops::RangeInclusive<f64> = 0.5..=60.0;

/// Why the screen ends with an error.
#[derive(Debug, thiserror::Error)]
enum ScreenError {
    #[error("the terminal cannot be used")]
    Terminal(#[from] io::Error),
    #[error(transparent)]
    Gather(#[from] GatherError),
    #[error(transparent)]
    Player(#[from] super::source::ShelfError),
}

/// Shows the screen until the user quits; returns the exit code.
pub(super) fn run(config: &Config, asked: &Top) -> u8 {
    if let Some(reason) = terminal::unfit() {
        return refuse(reason, exit::USAGE);
    }
    host::raise_open_files();
    let pace = Pace::default();
    let runtime = match once::runtime(&pace) {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("cannot set up the event loop: {error}"), exit::SYSTEM),
    };
    let tasks = LocalSet::new();
    let ended = tasks.block_on(&runtime, async {
        match &asked.replay {
            None => live(config, asked, pace).await,
            Some(place) => {
                let player = Player::open(place, asked.span, config.hosts.clone(), host::name())?;
                replay(asked, player).await
            }
        }
    });
    drop(tasks);
    // Neither a hanging resolver nor the thread that reads keys may delay the exit.
    runtime.shutdown_background();
    match ended {
        Ok(()) => exit::OK,
        Err(error @ ScreenError::Player(_)) => refuse(&Chain(&error).to_string(), exit::NO_INPUT),
        Err(error) => refuse(&Chain(&error).to_string(), exit::FAILURE),
    }
}

/// What the loops for live and stored ticks have in common.
struct Desk {
    screen: Screen,
    view: View,
    feed: Feed,
    palette: Palette,
    origin: Origin,
}

impl Desk {
    fn draw(&mut self) -> io::Result<()> {
        assert!(injection::variable(PANIC).is_none(), "{PANIC} is set");
        let Self { screen, view, feed, palette, origin } = self;
        screen.terminal.draw(|frame| {
            let area = frame.area();
            draw(frame.buffer_mut(), area, feed, view, origin, *palette);
        })?;
        Ok(())
    }

    /// Handles input from the terminal.
    fn news(&mut self, news: Option<News>) -> Effect {
        match news {
            Some(News::Key(key)) => {
                let scope = self.view.scope().map(str::to_owned);
                let level = self.view.level().clone();
                let items = Items::of(&self.feed.model, &self.feed.log, &self.view);
                let effect = self.view.key(key, &items);
                drop(items);
                if self.view.scope() != scope.as_deref() || *self.view.level() != level {
                    self.feed.model(&self.view);
                }
                effect
            }
            Some(News::Resized) => Effect::Nothing,
            Some(News::Closed) | None => Effect::Quit,
        }
    }
}

/// The events that the loop waits for.
enum Happening {
    News(Option<News>),
    Ended,
    Stopped,
    Resumed,
    Tick(Option<Result<Tick, GatherError>>),
    Due,
}

/// The signals that the screen handles.
struct SignalSet {
    end: Signals,
    stop: tokio::signal::unix::Signal,
    resume: tokio::signal::unix::Signal,
}

impl SignalSet {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            end: Signals::listen()?,
            stop: signal(SignalKind::from_raw(libc::SIGTSTP))?,
            resume: signal(SignalKind::from_raw(libc::SIGCONT))?,
        })
    }

    async fn next(&mut self) -> Happening {
        tokio::select! {
            _ = self.end.next() => Happening::Ended,
            _ = self.stop.recv() => Happening::Stopped,
            _ = self.resume.recv() => Happening::Resumed,
        }
    }
}

/// Starts a task that queries the sockets on request, so that keys are handled meanwhile.
fn asker(mut live: Live) -> (Sender<()>, Receiver<Result<Tick, GatherError>>) {
    let (ask, mut asked) = channel::<()>(1);
    let (answer, answers) = channel(1);
    spawn_local(async move {
        while asked.recv().await.is_some() {
            if answer.send(live.tick().await).await.is_err() {
                return;
            }
        }
    });
    (ask, answers)
}

async fn live(config: &Config, asked: &Top, pace: Pace) -> Result<(), ScreenError> {
    let (ask, mut answers) = asker(Live::new(config, host::name(), pace));
    let mut signals = SignalSet::listen()?;
    let mut news = terminal::news()?;
    let mut interval = asked.interval;
    let mut desk = Desk {
        screen: Screen::take()?,
        view: View::new(asked.host.clone(), false),
        feed: Feed::default(),
        palette: Palette::of_environment(),
        origin: Origin::Live { interval },
    };
    let (mut due, mut asking) = (Instant::now(), false);
    loop {
        desk.origin = Origin::Live { interval };
        desk.draw()?;
        let happening = tokio::select! {
            news = news.recv() => Happening::News(news),
            happening = signals.next() => happening,
            tick = answers.recv() => Happening::Tick(tick),
            () = sleep_until(due), if !asking && !desk.view.paused => Happening::Due,
        };
        let effect = match happening {
            Happening::News(news) => desk.news(news),
            Happening::Ended | Happening::Tick(None) => Effect::Quit,
            Happening::Stopped => Effect::Suspend,
            Happening::Resumed => {
                desk.screen.again()?;
                Effect::Nothing
            }
            Happening::Due => Effect::Look,
            Happening::Tick(Some(tick)) => {
                asking = false;
                desk.feed.push(tick?, &desk.view);
                desk.view.settle(desk.feed.model.hosts.len());
                Effect::Nothing
            }
        };
        match effect {
            Effect::Quit => return Ok(()),
            Effect::Suspend => desk.screen.suspend()?,
            Effect::Pace(factor) => interval = (interval * factor).clamp(*INTERVALS.start(), *INTERVALS.end()),
            Effect::Look if !asking => {
                asking = ask.send(()).await.is_ok();
                due = Instant::now() + Duration::from_secs_f64(interval);
            }
            _ => {}
        }
    }
}

async fn replay(asked: &Top, mut player: Player) -> Result<(), ScreenError> {
    let mut signals = SignalSet::listen()?;
    let mut news = terminal::news()?;
    let mut view = View::new(asked.host.clone(), true);
    let mut feed = Feed::default();
    // Start with the first tick that has a previous one. This is done before the terminal is taken over, so that errors can be
    // printed.
    player.go(1, &mut feed, &view)?;
    view.settle(feed.model.hosts.len());
    let mut desk =
        Desk { screen: Screen::take()?, view, feed, palette: Palette::of_environment(), origin: player.origin() };
    loop {
        desk.origin = player.origin();
        desk.draw()?;
        let happening = tokio::select! {
            news = news.recv() => Happening::News(news),
            happening = signals.next() => happening,
        };
        let effect = match happening {
            Happening::News(news) => desk.news(news),
            Happening::Stopped => Effect::Suspend,
            Happening::Resumed => {
                desk.screen.again()?;
                Effect::Nothing
            }
            _ => Effect::Quit,
        };
        let gone = match effect {
            Effect::Quit => return Ok(()),
            Effect::Suspend => {
                desk.screen.suspend()?;
                Ok(())
            }
            other => player.follow(other, &mut desk.feed, &desk.view),
        };
        // A damaged snapshot does not end the replay.
        if let Err(error) = gone {
            desk.view.note = Some(Chain(&error).to_string());
        }
    }
}

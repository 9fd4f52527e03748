//! Takes over the terminal at the start, and restores it however the program ends.

use super::view::Key;
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::CrosstermBackend;
use ratatui_crossterm::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui_crossterm::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui_crossterm::crossterm::{cursor, execute};
use std::io::{self, IsTerminal, Stdout, stdin, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Whether the program has taken over the terminal.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// An event from the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Key(Key),
    /// The terminal has another size, or must be redrawn.
    Resized,
    /// No more events will follow.
    Closed,
}

/// Why the screen cannot be shown here, and what to use instead; `None` if it can be shown.
pub(super) fn unfit() -> Option<&'static str> {
    if !stdout().is_terminal() {
        return Some("standard output is not a terminal; use --once for a table, --json for documents");
    }
    if !stdin().is_terminal() {
        return Some(
            "standard input is not a terminal, so there are no keys; use --once for a table, --json for documents",
        );
    }
    match std::env::var("TERM") {
        Ok(term) if !matches!(term.as_str(), "" | "dumb") => None,
        _ => Some("TERM does not name a terminal that can be drawn on; use --once for a table, --json for documents"),
    }
}

/// The terminal, taken over. It is restored when this value is dropped.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes over the terminal. A panic restores it before its message is printed.
    ///
    /// # Errors
    /// The terminal returns an error.
    pub(super) fn take() -> io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back();
            before(info);
        }));
        let screen = Self { terminal: Terminal::new(CrosstermBackend::new(stdout()))? };
        enter()?;
        Ok(screen)
    }

    /// Restores the terminal, stops the program like Ctrl-Z, and takes over the terminal again when the program continues.
    ///
    /// # Errors
    /// The terminal returns an error.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // SIGSTOP instead of SIGTSTP, for which the program has a handler.
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP)?;
        self.again()
    }

    /// Takes over the terminal again, whatever its modes are now.
    ///
    /// # Errors
    /// The terminal returns an error.
    pub(super) fn again(&mut self) -> io::Result<()> {
        give_back();
        enter()?;
        // A new `Terminal` assumes nothing about the content of the screen. Clearing the old one would ask the terminal for its
        // cursor position, and the thread that waits for keys would get the answer.
        self.terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, Clear(ClearType::All), cursor::Hide)
}

/// Restores the terminal, once. Errors are ignored, since the terminal may be gone.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(stdout(), LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
}

/// The events from the terminal, read by a thread that ends with the program.
///
/// # Errors
/// The thread cannot be started.
pub(super) fn news() -> io::Result<UnboundedReceiver<News>> {
    let (sender, receiver) = unbounded_channel();
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || listen(&sender))?;
    Ok(receiver)
}

fn listen(sender: &UnboundedSender<News>) {
    loop {
        let news = match event::read() {
            Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => match of(key) {
                Some(key) => News::Key(key),
                None => continue,
            },
            Ok(Event::Resize(..)) => News::Resized,
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => News::Closed,
        };
        if sender.send(news).is_err() || news == News::Closed {
            return;
        }
    }
}

fn of(key: KeyEvent) -> Option<Key> {
    Some(match key.code {
        KeyCode::Char(letter) if key.modifiers.contains(KeyModifiers::CONTROL) => Key::Control(letter),
        KeyCode::Char(letter) => Key::Char(letter),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Tab => Key::Tab,
        _ => return None,
    })
}

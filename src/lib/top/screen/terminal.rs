//! The terminal: taken over at the beginning, and given back as it was, whatever ends the program.

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

/// Whether the terminal is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Something that came from the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Key(Key),
    /// Another size, or it is to be drawn anew.
    Resized,
    /// Nothing will come any more.
    Closed,
}

/// Why there can be no screen here, and what can be had instead.
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

/// The screen, taken over. It is given back when this value goes.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal over. A panic gives it back before it is told.
    ///
    /// # Errors
    /// Those of the terminal.
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

    /// Gives the terminal back, stops the program as Ctrl-Z does, and takes the terminal over again when it goes on.
    ///
    /// # Errors
    /// Those of the terminal.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // SIGSTOP and not SIGTSTP, which the program has a handler for.
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP)?;
        self.again()
    }

    /// Takes the terminal over again, whatever its modes are now.
    ///
    /// # Errors
    /// Those of the terminal.
    pub(super) fn again(&mut self) -> io::Result<()> {
        give_back();
        enter()?;
        // A new one knows nothing of what is on the screen. Clearing the old one would ask the terminal where its cursor is, and
        // the thread that waits for keys would get the answer.
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

/// Gives the terminal back as it was, once. What cannot be done to a terminal that is gone is no loss.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(stdout(), LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
}

/// What comes from the terminal, read by a thread that ends with the program.
///
/// # Errors
/// The system has no thread left.
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

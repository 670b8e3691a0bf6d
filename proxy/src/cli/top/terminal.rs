//! The terminal while `bascule top` has it: an own screen, and keys one by one.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use crossterm::{
    QueueableCommand,
    cursor::{Hide, MoveTo, Show},
    event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    execute,
    terminal::{
        BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
        LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
    },
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

use crate::cli::{
    console::{Console, Size},
    failure::{Exit, Failure},
    text::Line,
    top::{sample::Sort, view::Choice},
};

/// How soon the thread that reads keys notices that nobody wants any more.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Somebody who types faster than is drawn loses nothing by it.
const KEYS_WAITING: usize = 32;
/// A terminal that does not say how large it is.
const FALLBACK: Size = Size { columns: 80, rows: 24 };

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Leave,
    Sort(Sort),
    Reverse,
    /// So many rows down; negative is up.
    Scroll(isize),
    /// Draw again, nothing else.
    Redraw,
}

impl Wish {
    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => Self::of_key(*key),
            Event::Resize(..) => Some(Self::Redraw),
            Event::Key(_) | Event::FocusGained | Event::FocusLost | Event::Mouse(_) => None,
        }
    }

    fn of_key(key: KeyEvent) -> Option<Self> {
        const PAGE: isize = 10;
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return (key.code == KeyCode::Char('c')).then_some(Self::Leave);
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "keys that mean nothing here")]
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => Some(Self::Leave),
            KeyCode::Char('R') => Some(Self::Reverse),
            KeyCode::Down | KeyCode::Char('j') => Some(Self::Scroll(1)),
            KeyCode::Up | KeyCode::Char('k') => Some(Self::Scroll(-1)),
            KeyCode::PageDown => Some(Self::Scroll(PAGE)),
            KeyCode::PageUp => Some(Self::Scroll(-PAGE)),
            KeyCode::Home => Some(Self::Scroll(isize::MIN)),
            KeyCode::Char(letter) => {
                let known = Sort::KEYS.iter().find(|(key, ..)| *key == letter);
                known.map(|(_, sort, _)| Self::Sort(*sort))
            }
            _ => None,
        }
    }

    /// Does to the choice what is wished.
    pub(crate) fn apply(self, choice: &mut Choice) {
        match self {
            Self::Sort(sort) => *choice = Choice { sort, is_reversed: false, scrolled: 0 },
            Self::Reverse => choice.is_reversed = !choice.is_reversed,
            Self::Scroll(rows) => choice.scrolled = choice.scrolled.saturating_add_signed(rows),
            Self::Leave | Self::Redraw => {}
        }
    }
}

/// The terminal. It is given back as it was when this is dropped.
pub(crate) struct Screen {
    console: Console,
    wishes: mpsc::Receiver<Wish>,
    is_over: Arc<AtomicBool>,
    end: Signal,
    hang_up: Signal,
}

impl Screen {
    pub(crate) fn open(console: Console) -> Result<Self, Failure> {
        let refused = |error: io::Error| {
            let message = format!("the terminal cannot be used: {error}");
            Failure::new(Exit::No, message, "--once prints the table")
        };
        let (sender, wishes) = mpsc::channel(KEYS_WAITING);
        let is_over = Arc::new(AtomicBool::new(false));
        let end = signal(SignalKind::terminate()).map_err(refused)?;
        let hang_up = signal(SignalKind::hangup()).map_err(refused)?;
        enable_raw_mode().map_err(refused)?;
        // From here on, dropping it puts everything back.
        let screen = Self { console, wishes, is_over: Arc::clone(&is_over), end, hang_up };
        execute!(io::stdout(), EnterAlternateScreen, Hide).map_err(refused)?;
        let keys = thread::Builder::new().name("keys".to_owned());
        keys.spawn(move || read_keys(&sender, &is_over)).map_err(refused)?;
        Ok(screen)
    }

    pub(crate) fn size() -> Size {
        Size::of_output().unwrap_or(FALLBACK)
    }

    /// Draws a line in each row.
    pub(crate) fn draw(&mut self, lines: &[Line]) -> Result<(), Failure> {
        let mut frame = Vec::new();
        frame.queue(BeginSynchronizedUpdate)?.queue(MoveTo(0, 0))?;
        for (at, line) in lines.iter().enumerate() {
            if 0 < at {
                frame.write_all(b"\r\n")?;
            }
            frame.write_all(line.render(self.console.styling()).as_bytes())?;
            frame.queue(Clear(ClearType::UntilNewLine))?;
        }
        frame.queue(Clear(ClearType::FromCursorDown))?.queue(EndSynchronizedUpdate)?;
        let mut out = io::stdout().lock();
        out.write_all(&frame)?;
        Ok(out.flush()?)
    }

    /// Waits for the next wish; to be told to end is one, too.
    pub(crate) async fn wish(&mut self) -> Wish {
        tokio::select! {
            wish = self.wishes.recv() => wish.unwrap_or(Wish::Leave),
            _ = self.end.recv() => Wish::Leave,
            _ = self.hang_up.recv() => Wish::Leave,
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
        // A terminal that is gone needs nothing put back.
        _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        _ = disable_raw_mode();
    }
}

fn read_keys(sender: &mpsc::Sender<Wish>, is_over: &AtomicBool) {
    while !is_over.load(Relaxed) {
        match event::poll(LOOK_EVERY).and_then(|is_there| is_there.then(event::read).transpose()) {
            Ok(Some(event)) => {
                let Some(wish) = Wish::of(&event) else { continue };
                if sender.blocking_send(wish).is_err() {
                    return;
                }
            }
            Ok(None) => {}
            // The terminal is gone; so is the sender with this thread, which is a wish to leave.
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_scroll_and_leave() {
        let press = |code, modifiers| Wish::of(&Event::Key(KeyEvent::new(code, modifiers)));
        let plain = |code| press(code, KeyModifiers::NONE);
        assert_eq!(plain(KeyCode::Char('q')), Some(Wish::Leave));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Wish::Leave));
        assert_eq!(plain(KeyCode::Char('c')), Some(Wish::Sort(Sort::Condition)));
        assert_eq!(plain(KeyCode::Char('x')), None);
        let mut choice = Choice::default();
        for key in [KeyCode::Char('r'), KeyCode::Char('R'), KeyCode::PageDown, KeyCode::Up] {
            plain(key).unwrap().apply(&mut choice);
        }
        assert_eq!(choice, Choice { sort: Sort::Rate, is_reversed: true, scrolled: 9 });
        plain(KeyCode::Home).unwrap().apply(&mut choice);
        assert_eq!(choice.scrolled, 0);
    }
}

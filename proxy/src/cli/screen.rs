//! A block of lines at the end of a terminal that is drawn again and again in its place.

use std::io::Write;

use crossterm::{
    QueueableCommand,
    cursor::MoveToPreviousLine,
    terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate},
};

use crate::cli::{
    console::{Console, ReaderGone, Size},
    text::{self, Line},
};

/// The block.
#[derive(Debug, Default)]
pub(crate) struct Block {
    /// Lines that stand there.
    drawn: u16,
}

impl Block {
    /// Draws `lines` where the block stands, cut to what the terminal shows.
    pub(crate) fn draw(
        &mut self,
        lines: Vec<Line>,
        size: Size,
        console: Console,
    ) -> Result<(), ReaderGone> {
        // The cursor stands on a line of its own below the block.
        let most = size.rows.saturating_sub(1);
        let lines: Vec<Line> =
            lines.into_iter().flat_map(|line| line.fit(size.columns)).take(most).collect();
        let mut frame = Vec::new();
        // Writing to memory does not fail.
        _ = frame.queue(BeginSynchronizedUpdate);
        if 0 < self.drawn {
            _ = frame.queue(MoveToPreviousLine(self.drawn));
        }
        _ = frame.queue(Clear(ClearType::FromCursorDown));
        _ = frame.write_all(text::render(&lines, console.styling()).as_bytes());
        _ = frame.queue(EndSynchronizedUpdate);
        self.drawn = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        console.print(&String::from_utf8_lossy(&frame))
    }
}

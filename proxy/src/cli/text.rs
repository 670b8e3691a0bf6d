//! Text with tones: what is said, and how it looks where colours are wanted.
//!
//! Nothing is said by colour alone: a tone only stresses what a word says.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    /// Headings, and what an eye should find first.
    Strong,
    /// What is there for completeness.
    Faint,
    /// All is well.
    Good,
    /// Not as it was meant, yet no harm to anybody.
    Moved,
    /// Worth a look.
    Warn,
    /// Clients are affected, or something is refused.
    Bad,
    /// A bar across the screen.
    Bar,
}

impl Tone {
    fn style(self) -> Style {
        let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
            Self::Good => color(AnsiColor::Green),
            Self::Moved => color(AnsiColor::Cyan),
            Self::Warn => color(AnsiColor::Yellow),
            Self::Bad => color(AnsiColor::Red).bold(),
            Self::Bar => Style::new().invert(),
        }
    }
}

/// One line of text, in pieces of one tone each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pieces: Vec<(Tone, String)>,
    /// Whether it is broken at a blank where a row of a table would be cut.
    is_prose: bool,
}

/// How far the further rows of prose are indented.
const INDENT: usize = 4;

impl Line {
    /// Starts a line with `text`.
    pub(crate) fn of(tone: Tone, text: impl Into<String>) -> Self {
        Self::default().with(tone, text)
    }

    /// Starts a line with `text` in no tone.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self::of(Tone::Plain, text)
    }

    /// Adds `text`. Control characters become `?`: what a backend or a client sent must not move
    /// the cursor, nor colour anything.
    #[must_use]
    pub(crate) fn with(mut self, tone: Tone, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.contains(char::is_control) {
            text = text.replace(char::is_control, "?");
        }
        if !text.is_empty() {
            self.pieces.push((tone, text));
        }
        self
    }

    /// Adds another line's pieces.
    #[must_use]
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.pieces.extend(other.pieces);
        self
    }

    /// Returns the line as one that may be broken.
    #[must_use]
    pub(crate) fn prose(self) -> Self {
        Self { is_prose: true, ..self }
    }

    /// Returns the rows that the line takes where there are `width` columns: prose is broken between
    /// words, everything else cut.
    pub(crate) fn fit(self, width: usize) -> Vec<Self> {
        // So narrow a terminal shows no prose either way.
        if !self.is_prose || self.width() <= width || width <= 2 * INDENT {
            return vec![self.cut(width)];
        }
        // A word ends at a blank, and not where its tone changes.
        let mut words = vec![Self::default()];
        for (tone, text) in self.pieces {
            for part in text.split_inclusive(' ') {
                let word = words.pop().unwrap_or_default().with(tone, part);
                words.push(word);
                if part.ends_with(' ') {
                    words.push(Self::default());
                }
            }
        }
        let mut rows = Vec::new();
        let mut row = Self::default();
        for word in words {
            let filled = row.width();
            if width < filled + word.clone().trimmed().width() && INDENT < filled {
                rows.push(row);
                row = Self::plain(" ".repeat(INDENT));
            }
            row = row.and(word);
        }
        rows.push(row);
        rows.into_iter().map(|row| row.trimmed().cut(width)).collect()
    }

    /// Returns the line without the blanks at its end.
    fn trimmed(mut self) -> Self {
        if let Some((_, text)) = self.pieces.last_mut() {
            text.truncate(text.trim_end().len());
        }
        self
    }

    /// Returns how many columns it takes.
    pub(crate) fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| text.width()).sum()
    }

    /// Returns the line in one tone.
    #[must_use]
    pub(crate) fn toned(self, tone: Tone) -> Self {
        let pieces = self.pieces.into_iter().map(|(_, text)| (tone, text)).collect();
        Self { pieces, ..self }
    }

    /// Returns the line filled up with blanks in the tone of its last piece.
    #[must_use]
    pub(crate) fn padded(self, width: usize) -> Self {
        let missing = width.saturating_sub(self.width());
        let tone = self.pieces.last().map_or(Tone::Plain, |(tone, _)| *tone);
        self.with(tone, " ".repeat(missing))
    }

    /// Returns what of the line fits `width` columns; an ellipsis tells that there was more.
    #[must_use]
    pub(crate) fn cut(self, width: usize) -> Self {
        if self.width() <= width {
            return self;
        }
        let mut left = width.saturating_sub(1);
        let mut cut = Self::default();
        for (tone, text) in self.pieces {
            let fits: String = text
                .chars()
                .take_while(|letter| {
                    let columns = letter.width().unwrap_or(0);
                    let has_room = columns <= left;
                    left = if has_room { left - columns } else { 0 };
                    has_room
                })
                .collect();
            let is_whole = fits.len() == text.len();
            cut = cut.with(tone, fits);
            if !is_whole {
                return if 0 < width { cut.with(tone, "…") } else { cut };
            }
        }
        cut
    }

    /// Returns the line as a terminal gets it, without an end of line.
    pub(crate) fn render(&self, style: Styling) -> String {
        let mut text = String::new();
        for (tone, piece) in &self.pieces {
            match (style, tone) {
                (Styling::None, _) | (_, Tone::Plain) => text.push_str(piece),
                (Styling::Ansi, tone) => {
                    let style = tone.style();
                    // Writing to a string does not fail.
                    _ = write!(text, "{style}{piece}{style:#}");
                }
            }
        }
        text.truncate(text.trim_end_matches(' ').len());
        text
    }
}

/// Whether tones are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Styling {
    /// As escape sequences of ANSI.
    Ansi,
    /// Not at all.
    None,
}

/// Renders `lines`, each with its end.
pub(crate) fn render(lines: &[Line], styling: Styling) -> String {
    lines.iter().map(|line| line.render(styling) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_styling_only_the_words_are_left() {
        let line = Line::of(Tone::Bad, "down").with(Tone::Plain, ": why  ");
        assert_eq!(line.render(Styling::None), "down: why");
        assert_eq!(line.render(Styling::Ansi), "\u{1b}[1m\u{1b}[31mdown\u{1b}[0m: why");
    }

    #[test]
    fn a_line_is_cut_where_its_columns_end() {
        let cut = |text: &str, width| Line::plain(text).cut(width).render(Styling::None);
        assert_eq!(cut("backend", 7), "backend");
        assert_eq!(cut("backend", 5), "back…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("backend", 1), "…");
        assert_eq!(cut("backend", 0), "");
        let two = Line::of(Tone::Good, "ab").with(Tone::Bad, "cd");
        assert_eq!(two.cut(3).render(Styling::None), "ab…");
    }

    #[test]
    fn prose_is_broken_between_words_and_tables_are_not() {
        let line =
            Line::of(Tone::Good, "Serving from a").with(Tone::Plain, "; b is down: no luck.");
        let rows = |line: Line| render(&line.fit(20), Styling::None);
        assert_eq!(rows(line.clone().prose()), "Serving from a; b is\n    down: no luck.\n");
        assert_eq!(rows(line), "Serving from a; b i…\n");
        let toned =
            Line::plain("nineteen letters, 0").with(Tone::Bad, " lost").with(Tone::Plain, ", x");
        assert_eq!(rows(toned.prose()), "nineteen letters, 0\n    lost, x\n");
        assert_eq!(rows(Line::plain("x".repeat(30)).prose()), format!("{}…\n", "x".repeat(19)));
    }

    #[test]
    fn what_others_sent_moves_no_cursor() {
        let line = Line::plain("a\u{1b}[2Jb\r\n\u{9b}c");
        assert_eq!(line.render(Styling::Ansi), "a?[2Jb???c");
    }
}

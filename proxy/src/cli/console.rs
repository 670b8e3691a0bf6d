//! Where answers go: data to standard output, messages to standard error.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::ValueEnum;

use crate::cli::{
    failure::Failure,
    text::{self, Line, Styling, Tone},
};

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set or TERM is `dumb`
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The two streams, and whether colours are wanted on each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    out: Styling,
    error: Styling,
}

/// Whoever read standard output has gone away: there is nobody left to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReaderGone;

impl Console {
    pub(crate) fn new(choice: ColorChoice) -> Self {
        let wanted = |is_terminal: bool| match choice {
            ColorChoice::Always => Styling::Ansi,
            ColorChoice::Never => Styling::None,
            ColorChoice::Auto if is_terminal && suits_colors() => Styling::Ansi,
            ColorChoice::Auto => Styling::None,
        };
        Self { out: wanted(io::stdout().is_terminal()), error: wanted(io::stderr().is_terminal()) }
    }

    /// Whether tones are shown on standard output.
    pub(crate) fn styling(self) -> Styling {
        self.out
    }

    /// Prints text as it is.
    pub(crate) fn print(self, text: &str) -> Result<(), ReaderGone> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|_| ReaderGone)
    }

    /// Prints lines, cut to the terminal's width where there is one.
    pub(crate) fn lines(self, lines: Vec<Line>) -> Result<(), ReaderGone> {
        let lines: Vec<Line> = match Size::of_output() {
            Some(size) => lines.into_iter().flat_map(|line| line.fit(size.columns)).collect(),
            None => lines,
        };
        self.print(&text::render(&lines, self.out))
    }

    /// Says something to whoever watches. That nobody does is no failure.
    pub(crate) fn say(self, line: &Line) {
        _ = writeln!(io::stderr().lock(), "{}", line.render(self.error));
    }

    /// Whether tones are shown on standard error.
    pub(crate) fn error_styling(self) -> Styling {
        self.error
    }

    /// Says text of several lines as it is; nothing if there is none.
    pub(crate) fn say_text(self, text: &str) {
        if text.is_empty() {
            return;
        }
        _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
    }

    /// Says why the command failed, and returns the exit code.
    pub(crate) fn fail(self, failure: &Failure) -> ExitCode {
        for (at, text) in failure.message.lines().enumerate() {
            let begin = if at == 0 { Line::of(Tone::Bad, "error") } else { Line::default() };
            let text = if at == 0 { format!(": {text}") } else { text.to_owned() };
            self.say(&begin.with(Tone::Plain, text));
        }
        for (at, text) in failure.remedy.lines().enumerate() {
            let begin = if at == 0 { "  = help: " } else { "          " };
            self.say(&Line::of(Tone::Moved, begin).with(Tone::Plain, text));
        }
        failure.exit.into()
    }
}

/// Columns and rows of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

impl Size {
    /// Returns the size of the terminal that standard output is, if it is one.
    pub(crate) fn of_output() -> Option<Self> {
        let (width, height) = terminal_size::terminal_size_of(io::stdout())?;
        // Some terminals say that they have no columns; then nothing is known.
        (0 < width.0 && 0 < height.0)
            .then(|| Self { columns: usize::from(width.0), rows: usize::from(height.0) })
    }
}

fn suits_colors() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !is_set("NO_COLOR") && !is_dumb
}

//! Problems as text: what is wrong, the line with the place marked, and the remedy.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::config::problem::{Location, Problem, Severity};

/// More than anyone reads at once; a file that is no configuration at all could fill megabytes.
const MOST_SHOWN: usize = 50;

/// Longer lines are cut around the place, counted in bytes.
const LONGEST_LINE: usize = 160;

/// Returns all of `problems` of the file `name` with contents `text`, in the order of their lines,
/// and a last line that counts them.
pub(crate) fn render(name: &str, text: &str, problems: &[Problem]) -> String {
    let mut sorted: Vec<&Problem> = problems.iter().collect();
    sorted.sort_by_key(|it| (it.location.as_ref().map(|at| at.span.start), it.code));
    let mut report = String::new();
    for problem in sorted.iter().take(MOST_SHOWN) {
        report.push_str(&one(name, text, problem));
        report.push_str("\n\n");
    }
    if MOST_SHOWN < sorted.len() {
        let hidden = sorted.len() - MOST_SHOWN;
        report
            .push_str(&format!("… and {hidden} more; these may be consequences of the first\n\n"));
    }
    report.push_str(&format!("{name}: {}\n", count(problems)));
    report
}

fn one(name: &str, text: &str, problem: &Problem) -> String {
    let level = match problem.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(problem.to_string()).id(problem.code.id());
    let group = match &problem.location {
        None => Group::with_title(title).element(Origin::path(name)),
        Some(location) => {
            let excerpt = Excerpt::of(text, location);
            // Cut lines lose their column; the path then carries the true place.
            let path = match excerpt.is_cut {
                false => name.to_owned(),
                true => format!("{name}:{}:{} (line cut here)", location.line, location.column),
            };
            Group::with_title(title).element(
                Snippet::source(excerpt.line)
                    .line_start(location.line)
                    .path(path)
                    .annotation(AnnotationKind::Primary.span(excerpt.span)),
            )
        }
    };
    let group = group.element(Level::HELP.message(problem.remedy.as_str()));
    Renderer::plain().render(&[group])
}

fn count(problems: &[Problem]) -> String {
    let of = |severity| problems.iter().filter(|it| it.severity() == severity).count();
    let counted: Vec<String> = [(of(Severity::Error), "error"), (of(Severity::Warning), "warning")]
        .into_iter()
        .filter(|(count, _)| 0 < *count)
        .map(|(count, noun)| format!("{count} {noun}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if counted.is_empty() { "no problems".to_owned() } else { counted.join(", ") }
}

/// The first line of a location, and the part of that line to mark.
struct Excerpt<'t> {
    line: &'t str,
    span: Range<usize>,
    is_cut: bool,
}

impl<'t> Excerpt<'t> {
    fn of(text: &'t str, location: &Location) -> Self {
        let start = location.span.start.min(text.len());
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = text.get(line_start..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let mark_start = start.saturating_sub(line_start).min(line.len());
        let mark_end = location.span.end.saturating_sub(line_start).clamp(mark_start, line.len());
        let marked = line.get(mark_start..mark_end).unwrap_or_default().trim_end().len();
        Self { line, span: mark_start..mark_start + marked, is_cut: false }.cut()
    }

    fn cut(self) -> Self {
        if self.line.len() <= LONGEST_LINE {
            return self;
        }
        let boundary =
            |at: usize| (0..=at).rev().find(|at| self.line.is_char_boundary(*at)).unwrap_or(0);
        let from = boundary(self.span.start.saturating_sub(LONGEST_LINE / 4));
        let to = boundary((from + LONGEST_LINE).min(self.line.len()));
        let shift = |at: usize| at.min(to).saturating_sub(from);
        Self {
            line: self.line.get(from..to).unwrap_or_default(),
            span: shift(self.span.start)..shift(self.span.end),
            is_cut: 0 < from,
        }
    }
}

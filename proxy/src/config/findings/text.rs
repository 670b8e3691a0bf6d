//! Problems as text: what is wrong, the line with the place marked, and the remedy.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::config::{
    findings::Style,
    problem::{Location, Problem, Severity},
    sources::Sources,
};

/// More than anyone reads at once; a file that is no configuration at all could fill megabytes.
const MOST_SHOWN: usize = 50;

/// Longer lines are cut around the place, counted in bytes.
const LONGEST_LINE: usize = 160;

/// Returns all of `problems`, which are in order, and a last line that counts them.
pub(crate) fn render(sources: &Sources, problems: &[Problem], style: Style) -> String {
    if problems.is_empty() {
        return String::new();
    }
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Coloured => Renderer::styled(),
    };
    let mut report = String::new();
    for problem in problems.iter().take(MOST_SHOWN) {
        report.push_str(&one(sources, problem, &renderer));
        report.push_str("\n\n");
    }
    if MOST_SHOWN < problems.len() {
        let hidden = problems.len() - MOST_SHOWN;
        report
            .push_str(&format!("… and {hidden} more; these may be consequences of the first\n\n"));
    }
    let name = sources.names().collect::<Vec<_>>().join(", ");
    report.push_str(&format!("{name}: {}\n", count(problems)));
    report
}

/// Returns whether two messages at one place tell the same but for the names in them.
pub(crate) fn is_alike(left: &str, right: &str) -> bool {
    let bare = |text: &str| -> String { text.split('`').step_by(2).collect() };
    bare(left) == bare(right)
}

fn one(sources: &Sources, problem: &Problem, renderer: &Renderer) -> String {
    let level = match problem.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(problem.to_string()).id(problem.code.id());
    let name = sources.names().next().unwrap_or_default();
    let mut group = Group::with_title(title);
    group = match &problem.location {
        None => group.element(Origin::path(name)),
        Some(location) if location.is_whole_file => group.element(Origin::path(&*location.file)),
        Some(location) => group.element(snippet(sources, location, AnnotationKind::Primary, "")),
    };
    // In the same file, the message names the line.
    let is_elsewhere = |also: &&Location| {
        problem.location.as_ref().is_some_and(|location| location.file != also.file)
    };
    if let Some(also) = problem.also.as_ref().filter(is_elsewhere) {
        group = group.element(snippet(sources, also, AnnotationKind::Context, "the first is here"));
    }
    let group = group.element(Level::HELP.message(problem.remedy.as_str()));
    renderer.render(&[group])
}

fn snippet<'t>(
    sources: &'t Sources,
    location: &Location,
    kind: AnnotationKind,
    label: &'t str,
) -> Snippet<'t, annotate_snippets::Annotation<'t>> {
    let excerpt = Excerpt::of(sources.text(), location);
    // Cut lines lose their column; the path then carries the true place.
    let path = match excerpt.is_cut {
        false => location.file.to_string(),
        true => format!("{}:{}:{} (line cut here)", location.file, location.line, location.column),
    };
    let annotation = kind.span(excerpt.span);
    Snippet::source(excerpt.line)
        .line_start(location.line)
        .path(path)
        .annotation(if label.is_empty() { annotation } else { annotation.label(label) })
}

fn count(problems: &[Problem]) -> String {
    let of = |severity| problems.iter().filter(|it| it.severity() == severity).count();
    let counted: Vec<String> = [(of(Severity::Error), "error"), (of(Severity::Warning), "warning")]
        .into_iter()
        .filter(|(count, _)| 0 < *count)
        .map(|(count, noun)| format!("{count} {noun}{}", if count == 1 { "" } else { "s" }))
        .collect();
    counted.join(", ")
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

//! One incident as a story: what happened, when, how anybody knew, and what clients paid.

use crate::cli::{
    answers::{Incident, Latency},
    format,
    incidents::state,
    table::{Align, Table},
    text::{Line, Tone},
};

/// Signs that are shown; the first ones tell most.
const SIGNS_SHOWN: usize = 8;

pub(crate) fn lines(incident: &Incident) -> Vec<Line> {
    let mut lines = vec![heading(incident), summary(incident).prose(), Line::default()];
    lines.extend(moments(incident));
    lines.push(Line::default());
    lines.push(Line::of(Tone::Strong, "What clients paid"));
    lines.extend(cost(incident));
    if !incident.evidence.is_empty() {
        lines.push(Line::default());
        lines.push(Line::of(Tone::Strong, "Evidence"));
        lines.extend(evidence(incident));
    }
    lines
}

fn heading(incident: &Incident) -> Line {
    Line::of(Tone::Strong, format!("incident {}", incident.id))
        .with(Tone::Plain, ": ")
        .and(state(incident))
        .with(Tone::Plain, format!(", {}", incident.moments.suspected_at))
}

fn summary(incident: &Incident) -> Line {
    let asked = if incident.requested { ", which an operator asked for" } else { "" };
    let seen = match incident.detected_by.as_str() {
        "traffic" => "Traffic noticed",
        "health_check" => "Health checks noticed",
        _ => "It was noticed",
    };
    let heir = match (&incident.to_backend, incident.to_tier) {
        (Some(backend), Some(tier)) => format!("tier {tier} took over, {backend} first"),
        (Some(backend), None) => format!("{backend} took over"),
        (None, _) => "nobody could take over".to_owned(),
    };
    Line::plain(format!(
        "Pool {} lost {} of tier {} ({}{asked}). {seen}; {heir}.",
        incident.pool,
        incident.backend,
        incident.from_tier,
        incident.cause.replace('_', " "),
    ))
}

/// The moments, each with the time since the one before it.
fn moments(incident: &Incident) -> Vec<Line> {
    let moments = &incident.moments;
    let told = [
        (Some(&moments.suspected_at), "suspected", "the first sign of trouble"),
        (Some(&moments.decided_at), "decided", "the backend was taken out"),
        (moments.serving_at.as_ref(), "serving", "the first success elsewhere"),
        (moments.stable_at.as_ref(), "stable", "no attempt failed any more"),
        (moments.recovered_at.as_ref(), "recovered", "the backend was fit again"),
        (moments.failed_back_at.as_ref(), "failed back", "traffic returned to its tier"),
    ];
    let mut table = Table::new(&[
        ("WHEN", Align::Left),
        ("AFTER", Align::Right),
        ("MOMENT", Align::Left),
        ("", Align::Left),
    ]);
    let mut before: Option<&String> = None;
    for (at, name, meaning) in told {
        let Some(at) = at else {
            let waits = Line::of(Tone::Faint, format!("{meaning}: not yet"));
            table.row(vec![Line::default(), Line::default(), Line::of(Tone::Faint, name), waits]);
            continue;
        };
        let passed = before.and_then(|before| format::seconds_between(before, at));
        table.row(vec![
            Line::plain(format::time_with_millis(at)),
            Line::plain(passed.map_or_else(String::new, |it| format!("+{}", format::length(it)))),
            Line::of(Tone::Strong, name),
            Line::plain(meaning),
        ]);
        before = Some(at);
    }
    table.lines()
}

fn cost(incident: &Incident) -> Vec<Line> {
    let requests = &incident.requests;
    let tone = if requests.lost == 0 { Tone::Good } else { Tone::Bad };
    let counts = Line::plain(format!(
        "  {} finished meanwhile: ",
        format::plural(requests.total, "request")
    ))
    .with(tone, format!("{} lost", format::count(requests.lost)))
    .with(
        Tone::Plain,
        format!(
            ", {} rescued ({} by retry, {} by hedge), {} made",
            format::count(requests.rescued),
            format::count(requests.rescued_by_retry),
            format::count(requests.rescued_by_hedge),
            format::plural(requests.extra_attempts, "extra attempt"),
        ),
    );
    let latency = &incident.latency;
    let mut table =
        Table::new(&[("  LATENCY", Align::Left), ("P50", Align::Right), ("P99", Align::Right)]);
    for (name, of) in
        [("before", &latency.before), ("during", &latency.during), ("after", &latency.after)]
    {
        let of = |part: fn(&Latency) -> Option<f64>| {
            Line::plain(format::length_or_none(of.as_ref().and_then(part)))
        };
        table.row(vec![
            Line::plain(format!("  {name}")),
            of(|it| it.p50_seconds),
            of(|it| it.p99_seconds),
        ]);
    }
    std::iter::once(counts.prose()).chain(table.lines()).collect()
}

fn evidence(incident: &Incident) -> Vec<Line> {
    let mut table = Table::new(&[("", Align::Left), ("", Align::Left), ("", Align::Left)]);
    for sign in incident.evidence.iter().take(SIGNS_SHOWN) {
        table.row(vec![
            Line::plain(format!("  {}", format::time_with_millis(&sign.at))),
            Line::plain(sign.source.replace('_', " ")),
            Line::plain(&sign.detail),
        ]);
    }
    let mut lines: Vec<Line> = table.lines().into_iter().skip(1).collect();
    let more = incident.evidence.len().saturating_sub(SIGNS_SHOWN);
    if 0 < more {
        lines.push(Line::of(Tone::Faint, format!("  and {more} more")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{
        answers::{Evidence, Latencies, Moments, Requests},
        text::{Styling, render},
    };

    #[test]
    fn a_story_tells_the_moments_the_cost_and_the_evidence() {
        let at = |time: &str| format!("2026-11-23T10:03:{time}Z");
        let incident = Incident {
            id: "api-1".to_owned(),
            pool: "api".to_owned(),
            backend: "a".to_owned(),
            state: "serving".to_owned(),
            cause: "crash".to_owned(),
            detected_by: "traffic".to_owned(),
            requested: true,
            to_tier: Some(1),
            to_backend: Some("b".to_owned()),
            evidence: vec![Evidence {
                at: at("13.000"),
                source: "traffic".to_owned(),
                detail: "connection refused".to_owned(),
            }],
            moments: Moments {
                suspected_at: at("13.000"),
                decided_at: at("13.250"),
                serving_at: Some(at("13.254")),
                stable_at: Some(at("14.254")),
                ..Moments::default()
            },
            requests: Requests {
                total: 1_200,
                rescued: 5,
                rescued_by_retry: 5,
                extra_attempts: 5,
                ..Requests::default()
            },
            latency: Latencies {
                before: Some(Latency { p50_seconds: Some(0.001), p99_seconds: Some(0.01) }),
                ..Latencies::default()
            },
            ..Incident::default()
        };
        let expected = "\
incident api-1: serving, 2026-11-23T10:03:13.000Z
Pool api lost a of tier 0 (crash, which an operator asked for). Traffic noticed; tier 1 took over, b first.

WHEN            AFTER  MOMENT
10:03:13.000           suspected    the first sign of trouble
10:03:13.250  +250 ms  decided      the backend was taken out
10:03:13.254    +4 ms  serving      the first success elsewhere
10:03:14.254     +1 s  stable       no attempt failed any more
                       recovered    the backend was fit again: not yet
                       failed back  traffic returned to its tier: not yet

What clients paid
  1,200 requests finished meanwhile: 0 lost, 5 rescued (5 by retry, 0 by hedge), 5 extra attempts made
  LATENCY   P50    P99
  before   1 ms  10 ms
  during      -      -
  after       -      -

Evidence
  10:03:13.000  traffic  connection refused
";
        assert_eq!(render(&lines(&incident), Styling::None), expected);
    }
}

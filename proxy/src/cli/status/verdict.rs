//! The one sentence that answers "are users affected now?". The page says it in the same words.

use crate::cli::{
    answers::{Backend, Health, Pool},
    format,
    text::{Line, Tone},
};

/// Troubles that are named; more are counted.
const TROUBLES_NAMED: usize = 2;

/// Returns the sentence for the pool that needs an operator most, and how many others do.
pub(crate) fn sentence(health: &Health) -> Line {
    let mut pools: Vec<&Pool> = health.pools.iter().collect();
    // The sort is stable: among equals, the first of the configuration comes first.
    pools.sort_by_key(|pool| std::cmp::Reverse(urgency(tone_of(pool))));
    let Some(worst) = pools.first() else {
        return Line::of(Tone::Warn, "No pool is configured.");
    };
    let is_alone = pools.len() == 1;
    let tone = tone_of(worst);
    if !is_alone && tone == Tone::Good {
        let all = format!("All {} pools serve from their first tier.", pools.len());
        return Line::of(tone, all).with(Tone::Plain, format!(" {}", cost_of(&pools)));
    }
    let who = if is_alone { String::new() } else { format!("{}: ", worst.name) };
    let line = Line::of(Tone::Strong, who).and(pool_sentence(worst));
    let others = pools.iter().skip(1).filter(|pool| tone_of(pool) != Tone::Good).count();
    let line = line.with(Tone::Plain, format!(" {}", cost_of(&[worst])));
    if others == 0 {
        return line;
    }
    let (verb, noun) = if others == 1 { ("needs", "pool") } else { ("need", "pools") };
    line.with(Tone::Warn, format!(" {others} more {noun} {verb} a look."))
}

/// Returns who serves a pool since when, and what is wrong.
pub(crate) fn pool_sentence(pool: &Pool) -> Line {
    let (tone, ailing) = (tone_of(pool), ailments(pool));
    let since = format::time_of_day(&pool.since);
    if !pool.is_served() {
        let why =
            if ailing.is_empty() { String::new() } else { format!(": {}", ailing.join("; ")) };
        let opened =
            if pool.failing_open { " Requests are sent to any backend all the same." } else { "" };
        return Line::of(tone, format!("Nothing can serve since {since}{why}."))
            .with(Tone::Plain, opened);
    }
    let what = if ailing.is_empty() { String::new() } else { format!("; {}", ailing.join("; ")) };
    let who = serving(pool);
    Line::of(tone, format!("Serving from {} since {since}", format::names(&who)))
        .with(Tone::Plain, format!("{what}."))
}

/// How a pool looks, in one tone.
pub(crate) fn tone_of(pool: &Pool) -> Tone {
    if !pool.is_served() {
        Tone::Bad
    } else if 0 < pool.last_minute.lost || pool.status == "degraded" {
        Tone::Warn
    } else if pool.status == "failed_over" {
        Tone::Moved
    } else {
        Tone::Good
    }
}

/// How a backend's health looks.
pub(crate) fn health_tone(backend: &Backend) -> Tone {
    match backend.state.as_str() {
        "up" => Tone::Good,
        "failing" | "unknown" => Tone::Warn,
        _ => Tone::Bad,
    }
}

fn urgency(tone: Tone) -> u8 {
    match tone {
        Tone::Bad => 3,
        Tone::Warn => 2,
        Tone::Moved => 1,
        Tone::Good | Tone::Plain | Tone::Strong | Tone::Faint | Tone::Bar => 0,
    }
}

fn serving(pool: &Pool) -> Vec<&str> {
    let active = pool.backends.iter().filter(|it| it.active).map(|it| it.name.as_str());
    let active: Vec<&str> = active.collect();
    if active.is_empty() { pool.active_backend.as_deref().into_iter().collect() } else { active }
}

/// What is wrong with which backends; those in the same trouble are named together. That an operator
/// took one out is no trouble.
fn ailments(pool: &Pool) -> Vec<String> {
    let mut troubles: Vec<(String, Vec<&str>)> = Vec::new();
    for backend in &pool.backends {
        let Some(trouble) = ailment(backend) else { continue };
        match troubles.iter_mut().find(|(known, _)| *known == trouble) {
            Some((_, names)) => names.push(&backend.name),
            None => troubles.push((trouble, vec![&backend.name])),
        }
    }
    let more = troubles.len().saturating_sub(TROUBLES_NAMED);
    let mut texts: Vec<String> = troubles
        .iter()
        .take(TROUBLES_NAMED)
        .map(|(trouble, names)| {
            let verb = if names.len() == 1 { "is" } else { "are" };
            format!("{} {verb} {trouble}", format::names(names))
        })
        .collect();
    if 0 < more {
        texts.push(format::plural(u64::try_from(more).unwrap_or(u64::MAX), "more problem"));
    }
    texts
}

fn ailment(backend: &Backend) -> Option<String> {
    let why = backend.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    match (backend.state.as_str(), backend.intent.as_deref()) {
        ("up", Some("draining")) => Some("draining".to_owned()),
        ("up", Some("disabled")) => Some("disabled".to_owned()),
        ("up", _) if backend.eligible => None,
        ("up", _) => Some(format!("not eligible{why}")),
        ("unknown", _) => Some("not checked yet".to_owned()),
        (state, _) => Some(format!("{state}{why}")),
    }
}

fn cost_of(pools: &[&Pool]) -> String {
    let sum = |of: fn(&Pool) -> u64| pools.iter().map(|pool| of(pool)).sum::<u64>();
    let lost = sum(|pool| pool.last_minute.lost);
    let rescued = sum(|pool| pool.last_minute.rescued);
    if sum(|pool| pool.last_minute.requests) == 0 {
        return "No requests in the last minute.".to_owned();
    }
    let saved =
        if rescued == 0 { String::new() } else { format!(", {} rescued", format::count(rescued)) };
    format!("{}{saved} in the last minute.", format::plural(lost, "lost request"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::text::Styling;

    fn backend(name: &str, state: &str, reason: Option<&str>) -> Backend {
        Backend {
            name: name.to_owned(),
            state: state.to_owned(),
            eligible: state == "up",
            active: state == "up",
            reason: reason.map(str::to_owned),
            ..Backend::default()
        }
    }

    fn pool(status: &str, backends: Vec<Backend>) -> Pool {
        Pool {
            name: "api".to_owned(),
            status: status.to_owned(),
            active_tier: (status != "down").then_some(0),
            since: "2026-11-23T10:03:13.000Z".to_owned(),
            backends,
            ..Pool::default()
        }
    }

    #[track_caller]
    fn check(pools: Vec<Pool>, expected: &str) {
        let line = sentence(&Health { pools, ..Health::default() });
        assert_eq!(line.render(Styling::None), expected);
    }

    #[test]
    fn it_says_who_serves_and_what_is_wrong() {
        let quiet = "No requests in the last minute.";
        let refused = Some("connection refused");
        check(
            vec![pool("serving", vec![backend("a", "up", None)])],
            &format!("Serving from a since 10:03:13Z. {quiet}"),
        );
        check(
            vec![pool(
                "failed_over",
                vec![backend("a", "down", refused), backend("b", "up", None)],
            )],
            &format!("Serving from b since 10:03:13Z; a is down: connection refused. {quiet}"),
        );
        check(
            vec![pool("down", vec![backend("a", "down", refused), backend("b", "down", refused)])],
            &format!(
                "Nothing can serve since 10:03:13Z: a and b are down: connection refused. {quiet}"
            ),
        );
        check(vec![], "No pool is configured.");
    }

    #[test]
    fn what_operators_took_out_is_said_as_such() {
        let mut drained = backend("a", "up", None);
        drained.intent = Some("draining".to_owned());
        drained.active = false;
        check(
            vec![pool("degraded", vec![drained, backend("b", "up", None)])],
            "Serving from b since 10:03:13Z; a is draining. No requests in the last minute.",
        );
    }

    #[test]
    fn of_several_pools_the_worst_is_told_of() {
        let well = |name: &str| Pool {
            name: name.to_owned(),
            ..pool("serving", vec![backend("a", "up", None)])
        };
        check(
            vec![well("x"), well("y")],
            "All 2 pools serve from their first tier. No requests in the last minute.",
        );
        let mut lossy = well("z");
        lossy.last_minute.lost = 1;
        lossy.last_minute.requests = 2;
        lossy.last_minute.rescued = 1_200;
        check(
            vec![well("x"), lossy.clone(), Pool { name: "w".to_owned(), ..lossy }],
            "z: Serving from a since 10:03:13Z. 1 lost request, 1,200 rescued in the last minute. \
             1 more pool needs a look.",
        );
    }
}

//! The state of a proxy, as lines: the verdict first, then every pool with its backends.

use crate::cli::{
    answers::{Backend, Fault, Health, Incident, Pool},
    format::{self, NONE},
    status::verdict,
    table::{Align, Table},
    text::{Line, Tone},
};

/// Returns the whole answer. `incidents` are those under way, as far as they are known.
pub(crate) fn lines(health: &Health, incidents: &[Incident], place: &str) -> Vec<Line> {
    let mut lines = vec![verdict::sentence(health).prose(), process_line(health, place).prose()];
    for pool in &health.pools {
        lines.push(Line::default());
        lines.extend(pool_lines(pool, incidents, &health.now));
    }
    lines
}

fn process_line(health: &Health, place: &str) -> Line {
    let (ready, tone) =
        if health.ready { ("ready", Tone::Faint) } else { ("not ready", Tone::Warn) };
    let faults = if health.fault_injection { ", faults may be injected" } else { "" };
    let age = format::age(&health.started_at, &health.now);
    Line::of(Tone::Faint, format!("bascule {} at {place}, up {age}, ", health.version))
        .with(tone, ready)
        .with(Tone::Faint, faults)
}

fn pool_lines(pool: &Pool, incidents: &[Incident], now: &str) -> Vec<Line> {
    let mut lines = vec![heading(pool, now).prose()];
    lines.extend(backend_table(pool, now).into_iter().map(indented));
    for backend in &pool.backends {
        lines.extend(backend.fault.as_ref().map(|fault| fault_line(&backend.name, fault)));
    }
    if let Some(failback) = &pool.failback {
        let part = if failback.share <= 0.0 {
            String::new()
        } else {
            format!(", {} of the traffic is back", format::percent(failback.share))
        };
        let within = format::span(failback.remaining_seconds);
        let text = format!("back to tier {} in {within}{part}", failback.to_tier);
        lines.push(prose(Line::of(Tone::Moved, "failback").with(Tone::Plain, format!(": {text}"))));
    } else if let Some(tier) = pool.returnable_tier {
        let command = format!("bascule failback {}", pool.name);
        let text = format!(": tier {tier} is fit again; return to it with `{command}`");
        lines.push(prose(Line::of(Tone::Moved, "failback").with(Tone::Plain, text)));
    }
    if let Some(id) = &pool.open_incident {
        let known = incidents.iter().find(|it| it.id == *id);
        lines.push(prose(incident_line(id, known)));
    }
    lines
}

fn heading(pool: &Pool, now: &str) -> Line {
    let tone = verdict::tone_of(pool);
    let minute = &pool.last_minute;
    let where_to = match pool.active_tier {
        Some(tier) if 0 < tier => format!(" to tier {tier}"),
        Some(_) | None => String::new(),
    };
    let line = Line::of(Tone::Strong, format!("pool {}", pool.name))
        .with(Tone::Plain, ": ")
        .with(tone, format!("{}{where_to}", pool.status.replace('_', " ")))
        .with(Tone::Plain, format!(" for {}", format::age(&pool.since, now)));
    if minute.requests == 0 {
        return line.with(Tone::Faint, "; no requests in the last minute");
    }
    let lost = if minute.lost == 0 { Tone::Plain } else { Tone::Bad };
    line.with(
        Tone::Plain,
        format!(
            "; {} req/s, p50 {}, p99 {}, ",
            format::rate(minute.requests_per_second),
            format::length_or_none(minute.p50_seconds),
            format::length_or_none(minute.p99_seconds),
        ),
    )
    .with(lost, format!("{} lost", format::count(minute.lost)))
    .with(Tone::Plain, format!(", {} rescued in the last minute", format::count(minute.rescued)))
}

/// A row a backend: what it is, what it wants to be, what it gets.
fn backend_table(pool: &Pool, now: &str) -> Vec<Line> {
    let mut table = Table::new(&[
        ("", Align::Left),
        ("BACKEND", Align::Left),
        ("TIER", Align::Right),
        ("HEALTH", Align::Left),
        ("INTENT", Align::Left),
        ("SHARE", Align::Right),
        ("IN FLIGHT", Align::Right),
        ("FOR", Align::Left),
        ("TROUBLE", Align::Left),
        ("URL", Align::Left),
    ]);
    for backend in &pool.backends {
        table.row(vec![
            Line::of(Tone::Strong, if backend.active { ">" } else { "" }),
            Line::plain(&backend.name),
            Line::plain(backend.tier.to_string()),
            health(backend, now),
            intent(backend),
            Line::plain(share(pool, backend)),
            Line::plain(format::count(backend.in_flight)),
            Line::plain(format::age(&backend.since, now)),
            Line::plain(backend.reason.clone().unwrap_or_default()),
            Line::of(Tone::Faint, &backend.url),
        ]);
    }
    table.lines()
}

/// Health, and until when it lasts if that is known.
pub(crate) fn health(backend: &Backend, now: &str) -> Line {
    let line = Line::of(verdict::health_tone(backend), &backend.state);
    let until = backend.ejected_until.as_deref();
    match until.and_then(|until| format::seconds_between(now, until)) {
        Some(seconds) if 0.0 < seconds => {
            line.with(Tone::Plain, format!(" ({} left)", format::span(seconds)))
        }
        Some(_) | None => line,
    }
}

/// What operators want of a backend; nothing where the proxy does not say.
pub(crate) fn intent(backend: &Backend) -> Line {
    match backend.intent.as_deref() {
        None => Line::default(),
        Some("enabled") => Line::of(Tone::Faint, "enabled"),
        Some(other) => Line::of(Tone::Warn, other),
    }
}

/// The backend's part of its pool's traffic: as the proxy says, or by weights within its tier.
fn share(pool: &Pool, backend: &Backend) -> String {
    if let Some(share) = backend.share {
        return format::percent(share);
    }
    let tier = usize::try_from(backend.tier).ok();
    let of_tier = tier.and_then(|tier| pool.shares.get(tier)).copied().unwrap_or(0.0);
    let fit = pool.backends.iter().filter(|it| it.tier == backend.tier && it.eligible);
    let weights: u64 = fit.map(|it| it.weight).sum();
    if !backend.eligible || weights == 0 {
        return format::percent(0.0);
    }
    #[expect(clippy::cast_precision_loss, reason = "weights fit an f64")]
    let part = backend.weight as f64 / weights as f64;
    format::percent(of_tier * part)
}

/// A fault under way.
fn fault_line(backend: &str, fault: &Fault) -> Line {
    let ends = format::span(fault.remaining_seconds);
    prose(Line::of(Tone::Warn, "fault").with(
        Tone::Plain,
        format!(
            ": {backend}: {}; ends in {ends}, or with `bascule fault end {backend}`",
            terms(fault)
        ),
    ))
}

/// What goes wrong, and for whom: `error 503 for 30 % of traffic`.
pub(crate) fn terms(fault: &Fault) -> String {
    let mut text = fault.mode.clone();
    if let Some(status) = fault.status {
        text.push_str(&format!(" {status}"));
    }
    match (fault.delay_min_seconds, fault.delay_max_seconds) {
        (Some(min), Some(max)) if min < max => {
            text.push_str(&format!(" by {} to {}", format::length(min), format::length(max)));
        }
        (Some(min), _) => text.push_str(&format!(" by {}", format::length(min))),
        (None, _) => {}
    }
    match fault.percent {
        Some(percent) if percent < 100 => text.push_str(&format!(" for {percent} %")),
        Some(_) | None => {}
    }
    match fault.scope.as_str() {
        "" | "all" => text,
        scope => format!("{text} of {scope}"),
    }
}

fn incident_line(id: &str, incident: Option<&Incident>) -> Line {
    let line = Line::of(Tone::Warn, "incident").with(Tone::Strong, format!(" {id}"));
    let Some(incident) = incident else {
        return line.with(Tone::Plain, format!(" is under way: `bascule incidents {id}`"));
    };
    let requests = &incident.requests;
    let lost = if requests.lost == 0 { Tone::Plain } else { Tone::Bad };
    line.with(
        Tone::Plain,
        format!(
            " is {}: {} was lost ({}), noticed in {}, switched in {}; {}, {} rescued, ",
            incident.state,
            incident.backend,
            incident.cause.replace('_', " "),
            format::length(incident.detection_seconds),
            format::length_or_none(incident.switch_seconds),
            format::plural(requests.total, "request"),
            format::count(requests.rescued),
        ),
    )
    .with(lost, format!("{} lost", format::count(requests.lost)))
}

fn prose(line: Line) -> Line {
    indented(line).prose()
}

fn indented(line: Line) -> Line {
    Line::plain("  ").and(line)
}

/// The table of `bascule backend list`: every pool's backends, each with its pool.
pub(crate) fn backend_list(backends: &[Backend], now: &str) -> Vec<Line> {
    let mut table = Table::new(&[
        ("BACKEND", Align::Left),
        ("TIER", Align::Right),
        ("HEALTH", Align::Left),
        ("INTENT", Align::Left),
        ("WEIGHT", Align::Right),
        ("SHARE", Align::Right),
        ("IN FLIGHT", Align::Right),
        ("FOR", Align::Left),
        ("LAST CHECK", Align::Left),
        ("URL", Align::Left),
    ]);
    for backend in backends {
        let weight = match backend.configured_weight {
            Some(configured) if configured != backend.weight => {
                format!("{} (file: {configured})", backend.weight)
            }
            Some(_) | None => backend.weight.to_string(),
        };
        table.row(vec![
            Line::of(Tone::Faint, format!("{}/", backend.pool)).with(Tone::Plain, &backend.name),
            Line::plain(backend.tier.to_string()),
            health(backend, now),
            intent(backend),
            Line::plain(weight),
            Line::plain(backend.share.map_or_else(|| NONE.to_owned(), format::percent)),
            Line::plain(format::count(backend.in_flight)),
            Line::plain(format::age(&backend.since, now)),
            last_check(backend, now),
            Line::of(Tone::Faint, &backend.url),
        ]);
    }
    table.lines()
}

fn last_check(backend: &Backend, now: &str) -> Line {
    let Some(check) = &backend.last_check else { return Line::of(Tone::Faint, NONE) };
    let tone = if check.result == "pass" { Tone::Plain } else { Tone::Warn };
    let took = format::length(check.duration_seconds);
    Line::of(tone, &check.detail)
        .with(Tone::Faint, format!(" in {took}, {} ago", format::age(&check.at, now)))
}

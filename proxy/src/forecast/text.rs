//! A forecast as text for people.

use std::{fmt, time::Duration};

use crate::{
    forecast::{
        Case, Detection, Failure, Forecast, Outcome, PoolForecast, Rescue, Return, RouteForecast,
        Verdict,
    },
    units::write_length,
};

impl fmt::Display for Forecast {
    /// Writes everything but the traps, several lines for each pool and route.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for pool in &self.pools {
            pool.fmt(f)?;
            f.write_str("\n")?;
        }
        for route in &self.routes {
            route.fmt(f)?;
            f.write_str("\n")?;
        }
        Ok(())
    }
}

impl fmt::Display for PoolForecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (backends, tiers) = (plural(self.backends, "backend"), plural(self.tiers, "tier"));
        writeln!(f, "pool {}: {backends} in {tiers}", self.name)?;
        let (failure, checks, traffic, lost) =
            ("a backend's", "found by checks", "others are asked", "and it is lost");
        writeln!(f, "  {failure:<12} {checks:<17} {traffic:<26} {lost}")?;
        for detection in &self.detections {
            let Detection { failure, by_checks, with_traffic, verdict } = detection;
            let checks = by_checks.map_or("never".to_owned(), |it| format!("within {}", time(it)));
            let traffic = match (failure, with_traffic.is_zero()) {
                (_, true) => "after one failed attempt".to_owned(),
                (_, false) => format!("after {}, as a rule less", time(*with_traffic)),
            };
            let lost = match verdict {
                Verdict::Checks(it) if it.is_zero() => "at once".to_owned(),
                Verdict::Checks(it) => format!("{} later", time(*it)),
                Verdict::Attempts(it) => {
                    format!("after {} in a row", plural(*it as usize, "failed attempt"))
                }
                Verdict::Never => "never: there is no other".to_owned(),
            };
            writeln!(f, "  {:<12} {checks:<17} {traffic:<26} {lost}", failure.word())?;
        }
        self.comes_back.fmt(f)
    }
}

impl fmt::Display for Return {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  comes back   within {} of being well", time(self.eligible))?;
        if !self.slow_start.is_zero() {
            write!(f, ", with its full share {} later", time(self.slow_start))?;
        }
        f.write_str("\n")?;
        let Some(failback) = self.failback else { return Ok(()) };
        if failback.is_manual {
            return f.write_str("  failback     when an operator says so\n");
        }
        write!(f, "  failback     {} after that", time(failback.after))?;
        if failback.after < failback.after_max {
            write!(f, ", up to {} if it keeps failing", time(failback.after_max))?;
        }
        if failback.ramp.is_zero() {
            f.write_str("; all traffic at once\n")
        } else {
            writeln!(f, "; all traffic {} later", time(failback.ramp))
        }
    }
}

impl fmt::Display for RouteForecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "route {} to pool {}", self.name, self.pool)?;
        let stall = self.stall;
        write!(f, "  longest wait for an answer: {}", time(stall.at_most))?;
        if let Some(one_hangs) = stall.one_hangs {
            write!(f, "; when one backend hangs, {}", time(one_hangs))?;
        }
        if let Some(hedged) = stall.hedged_from {
            write!(f, ", as a rule a multiple of the usual time (from {})", time(hedged))?;
        }
        writeln!(f, "\n  longest silence within an answer: {}", time(stall.between_pieces))?;
        for Rescue { case, outcome, note } in &self.rescues {
            let case = match case {
                Case::Idempotent => "may be repeated",
                Case::Other => "may not (POST)",
                Case::LongBody => "long body",
                Case::HeldBack => "held back",
                Case::Streamed => "streamed",
                Case::WebSocket => "WebSocket",
            };
            let outcome = match outcome {
                Outcome::Rescued => "rescued",
                Outcome::RescuedUnsent => "if unsent",
                Outcome::Lost => "lost",
            };
            writeln!(f, "  {case:<16} {outcome:<10} {note}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

fn time(length: Duration) -> String {
    write_length(length)
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

//! Traps that a forecast finds, as problems at their places.

use crate::{
    config::{
        Loaded,
        path::Path,
        problem::{Code, Problem},
    },
    forecast::{self, Forecast, Step, Trap, TrapKind},
};

impl Loaded {
    /// Works out what the configuration promises. The traps that it holds are added to its findings,
    /// as warnings.
    pub fn forecast(&mut self) -> Forecast {
        let forecast = forecast::forecast(&self.topology);
        let traps = forecast.traps.iter().map(|trap| self.problem(trap)).collect();
        self.findings.extend(traps);
        forecast
    }

    fn problem(&self, trap: &Trap) -> Problem {
        let path = trap.path.iter().fold(Path::default(), |path, step| match step {
            Step::Key(key) => path.key(key),
            Step::Item(index) => path.item(*index),
        });
        let location = Some(self.effective.location(&path));
        Problem::new(code(trap.kind), path.to_string(), location, &*trap.message, &*trap.remedy)
    }
}

fn code(kind: TrapKind) -> Code {
    match kind {
        TrapKind::DeadlineTooShort => Code::DeadlineTooShort,
        TrapKind::NoSpare => Code::NoSpare,
        TrapKind::OneEjection => Code::OneEjection,
        TrapKind::RetryStorm => Code::RetryStorm,
        TrapKind::ColdFailback => Code::ColdFailback,
        TrapKind::HoldsBackLittle => Code::HoldsBackLittle,
        TrapKind::IdleTooLong => Code::IdleTooLong,
        TrapKind::BlindCheck => Code::BlindCheck,
        TrapKind::SlowSuspicion => Code::SlowSuspicion,
        TrapKind::NeverRetried => Code::NeverRetried,
        TrapKind::PatientQueue => Code::PatientQueue,
        TrapKind::ShortDrain => Code::ShortDrain,
        TrapKind::SharedCookie => Code::SharedCookie,
    }
}

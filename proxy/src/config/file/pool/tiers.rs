//! The part of a configuration file that describes failover and failback.

use std::{num::NonZeroUsize, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::{duration::Wait, number::Capacity};

/// When a tier hands over to the next, and when it gets its traffic back.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tiers {
    /// What a tier needs in order to carry all traffic: so many eligible backends (all, in a tier
    /// that has fewer), or this share of its weight. With less, the next tier takes over.
    pub(crate) fail_over_below: Capacity,
    /// Whether a tier below that keeps the part of the traffic that it can carry, and only the rest
    /// goes to the next tier. Otherwise all of it goes.
    pub(crate) spill_over: bool,
    /// How traffic returns to a preferred tier.
    pub(crate) failback: Failback,
}

impl Default for Tiers {
    fn default() -> Self {
        Self {
            fail_over_below: Capacity::Backends(NonZeroUsize::MIN),
            spill_over: false,
            failback: Failback::default(),
        }
    }
}

/// How traffic returns to a preferred tier.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Failback {
    /// Whether traffic returns by itself.
    pub(crate) mode: FailbackMode,
    /// How long a preferred tier must be able to serve before traffic returns to it. Returning
    /// late costs little; returning to a backend that fails again costs an outage.
    pub(crate) after: Wait,
    /// The longest such wait, at least `after`: each failover soon after a failback doubles the
    /// next wait, so that a backend that keeps failing does not take the traffic with it.
    pub(crate) max_after: Wait,
    /// How long a returning tier takes to get all traffic; it loses it at once if it fails. `0s`: it
    /// gets all of it at once.
    pub(crate) ramp: Wait,
}

impl Default for Failback {
    fn default() -> Self {
        Self {
            mode: FailbackMode::default(),
            after: Wait(Duration::from_secs(30)),
            max_after: Wait(Duration::from_secs(5 * 60)),
            ramp: Wait::default(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailbackMode {
    /// After the wait.
    #[default]
    Automatic,
    /// When an operator says so, or when nothing else can serve.
    Manual,
}

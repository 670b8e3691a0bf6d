//! Sessions: which client is kept at which backend, and the cookie that says so.

use std::{collections::BTreeMap, fmt};

use http::HeaderValue;

use crate::{
    clock::{self, Timestamp},
    exchange::{Exchange, request::RequestContext},
    model::{BackendId, PoolId, SameSite, Secret, Sticky, Topology},
    sticky::{Cookies, Session},
    token::{self, TokenError},
};

/// What writes and reads the cookies of each pool.
#[derive(Default)]
pub struct Sessions {
    /// Indexed by pool; `None` where clients are not kept.
    pools: Vec<Option<Cookies>>,
    /// Secrets that are written nowhere, by pool: those of a configuration that follows are the same,
    /// so that clients stay where they are.
    made: BTreeMap<String, String>,
}

impl fmt::Debug for Sessions {
    /// Leaves out the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("pools", &self.pools).finish_non_exhaustive()
    }
}

impl Sessions {
    /// Reads the secrets of `topology`.
    ///
    /// # Errors
    /// When one cannot be read, or is not fit to be a secret.
    pub fn load(topology: &Topology) -> Result<Self, TokenError> {
        Self::default().succeeded_by(topology)
    }

    /// Reads the secrets of `topology`, which follows another. Those that were made up stay.
    ///
    /// # Errors
    /// When one cannot be read, or is not fit to be a secret.
    pub fn succeeded_by(&self, topology: &Topology) -> Result<Self, TokenError> {
        let mut next = Self::default();
        for pool in &topology.pools {
            let secret = pool.sticky.as_ref().map(|it| match &it.secret {
                Secret::File(path) => token::read(path),
                Secret::Environment(name) => token::read_variable(name),
                Secret::Random => {
                    let secret =
                        self.made.get(&pool.name).cloned().map_or_else(token::random, Ok)?;
                    next.made.insert(pool.name.clone(), secret.clone());
                    Ok(secret)
                }
            });
            next.pools.push(secret.transpose()?.map(|secret| Cookies::new(pool, &secret)));
        }
        Ok(next)
    }

    /// Returns what reads and writes this pool's cookies.
    pub(crate) fn of(&self, pool: PoolId) -> Option<&Cookies> {
        self.pools.get(pool.0)?.as_ref()
    }
}

impl Exchange {
    /// Returns the `Set-Cookie` field of a response that comes from this backend, if its client needs
    /// one: it had none, or its backend cannot be picked any more, or it is time to renew it.
    pub(crate) fn session_field(
        &self,
        answered: BackendId,
        ctx: &RequestContext,
    ) -> Option<HeaderValue> {
        let cookies = self.sessions.of(answered.pool)?;
        let sticky = self.topology.pool(answered.pool).sticky.as_ref()?;
        let now = seconds(clock::now());
        let ttl = sticky.ttl.as_secs();
        let snapshot = self.snapshot.load();
        let is_eligible = |session: &Session| {
            let home = BackendId { index: session.index, ..answered };
            snapshot.backend(home).is_eligible()
        };
        let index = match ctx.session.filter(is_eligible) {
            Some(session) if ttl / 2 <= session.expires.saturating_sub(now) => return None,
            // Whoever answered in its place, the client's session is still there.
            Some(session) => session.index,
            None => answered.index,
        };
        let value = cookies.write(Session { index, expires: now.saturating_add(ttl) })?;
        HeaderValue::try_from(field(sticky, &value)).ok()
    }
}

/// Returns the time as cookies write it.
pub(crate) fn seconds(at: Timestamp) -> u64 {
    clock::wall_of(at).as_secs()
}

/// Writes a `Set-Cookie` field (RFC 6265, section 4.1).
fn field(sticky: &Sticky, value: &str) -> String {
    let same_site = match sticky.same_site {
        SameSite::Strict => "Strict",
        SameSite::Lax => "Lax",
        SameSite::None => "None",
    };
    let (name, ttl) = (&sticky.cookie, sticky.ttl.as_secs());
    let secure = if sticky.secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={ttl}; HttpOnly; SameSite={same_site}{secure}")
}

//! Tickets: what a browser shows where it can send no header.
//!
//! A page can add nothing to a WebSocket's handshake but its address, and addresses end up in histories
//! and logs. So what stands there is good once, for half a minute, and for one path.

use std::time::Duration;

use crate::{access::Pass, clock::Timestamp, token::TokenHash};

/// From the answer that brings the ticket to the handshake that shows it.
pub const GOOD_FOR: Duration = Duration::from_secs(30);
/// Tickets of everybody that have been given and not been shown.
const TICKETS_MAX: usize = 256;
/// Of one holder: a page takes one for each of its tabs.
const OF_ONE_MAX: usize = 32;

/// The tickets that are good at present.
#[derive(Debug, Default)]
pub struct Tickets {
    given: Vec<Given>,
}

#[derive(Debug)]
struct Given {
    hash: TokenHash,
    path: String,
    pass: Pass,
    until: Timestamp,
}

/// No further ticket can be given: too many have been taken and not been shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl Tickets {
    /// Gives `ticket`, which must be beyond guessing, to who has `pass`, for `path`.
    ///
    /// # Errors
    /// When too many have been given and not been shown.
    pub fn give(
        &mut self,
        ticket: &str,
        path: &str,
        pass: Pass,
        now: Timestamp,
    ) -> Result<(), TooMany> {
        self.given.retain(|it| now < it.until);
        let of_one = self.given.iter().filter(|it| it.pass.identity == pass.identity).count();
        if TICKETS_MAX <= self.given.len() || OF_ONE_MAX <= of_one {
            return Err(TooMany);
        }
        let (hash, path) = (TokenHash::of(ticket.as_bytes()), path.to_owned());
        self.given.push(Given { hash, path, pass, until: now + GOOD_FOR });
        Ok(())
    }

    /// Takes `ticket` back, and returns to whom it was given if it was for `path`. It is worth nothing
    /// from then on, either way.
    pub fn redeem(&mut self, ticket: &str, path: &str, now: Timestamp) -> Option<Pass> {
        self.given.retain(|it| now < it.until);
        let shown = TokenHash::of(ticket.as_bytes());
        let at = self.given.iter().position(|it| it.hash.is_same(&shown))?;
        let given = self.given.swap_remove(at);
        (given.path == path).then_some(given.pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{Identity, Kind, tests::NONE},
        model::Role,
    };

    fn of(name: &str) -> Pass {
        let (kind, role) = (Kind::Token, Some(Role::Viewer));
        let identity = Identity { kind, name: Some(name.to_owned()), role };
        Pass::new(identity, &NONE)
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000 * seconds)
    }

    #[test]
    fn a_ticket_is_good_once_for_its_path_and_for_half_a_minute() {
        let mut tickets = Tickets::default();
        for ticket in ["one", "two", "three"] {
            tickets.give(ticket, "/logs", of("ci"), at(0)).unwrap();
        }
        let holder = tickets.redeem("one", "/logs", at(29)).unwrap();
        assert_eq!(holder.identity, of("ci").identity);
        assert!(tickets.redeem("one", "/logs", at(29)).is_none(), "it was shown");
        assert!(tickets.redeem("two", "/audit", at(29)).is_none(), "it is for another path");
        assert!(tickets.redeem("two", "/logs", at(29)).is_none(), "it was shown");
        assert!(tickets.redeem("three", "/logs", at(30)).is_none(), "it is too old");
        assert!(tickets.redeem("four", "/logs", at(0)).is_none(), "there is none");
    }

    #[test]
    fn memory_is_bounded_and_nobody_takes_all_of_it() {
        let mut tickets = Tickets::default();
        for count in 0..OF_ONE_MAX {
            tickets.give(&format!("a{count}"), "/logs", of("a"), at(0)).unwrap();
        }
        assert_eq!(tickets.give("more", "/logs", of("a"), at(0)), Err(TooMany));
        for count in OF_ONE_MAX..TICKETS_MAX {
            tickets.give(&format!("b{count}"), "/logs", of(&format!("b{count}")), at(0)).unwrap();
        }
        assert_eq!(tickets.give("more", "/logs", of("c"), at(0)), Err(TooMany));
        assert_eq!(tickets.given.len(), TICKETS_MAX);
        assert_eq!(tickets.give("more", "/logs", of("a"), at(30)), Ok(()));
        assert_eq!(tickets.given.len(), 1);
    }
}

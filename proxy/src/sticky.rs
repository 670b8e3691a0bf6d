//! Stickiness: cookies that name the backend a client's session is at.
//!
//! A cookie holds a number that stands for a backend, the moment at which it expires, and an
//! HMAC-SHA256 over both with a secret, so that nobody can make one or learn from one who the
//! backends are, or how many. The numbers come from the secret and the names of pool and backend:
//! every proxy with the same secret reads the cookies of all, whatever the order in which backends
//! are written. What cannot be read, is tampered with, has expired or names nobody is as good as no
//! cookie.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use subtle::ConstantTimeEq as _;

use crate::model::Pool;

/// Of a backend's number; more than enough to tell a pool's backends apart.
const NUMBER_BYTES: usize = 8;
const EXPIRY_BYTES: usize = 8;
/// Of the signature: half of HMAC-SHA256, which RFC 2104, section 5, allows.
const SIGNATURE_BYTES: usize = 16;
const SIGNED_BYTES: usize = NUMBER_BYTES + EXPIRY_BYTES;
const BYTES: usize = SIGNED_BYTES + SIGNATURE_BYTES;

/// Where a client's session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Index of the backend in its pool.
    pub index: usize,
    /// When the cookie expires, in seconds since the Unix epoch.
    pub expires: u64,
}

/// Writes and reads the cookies of one pool.
pub struct Cookies {
    key: hmac::Key,
    /// What stands for each backend, indexed as in the topology.
    numbers: Vec<[u8; NUMBER_BYTES]>,
}

impl std::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cookies")
    }
}

impl Cookies {
    /// Makes what writes and reads the cookies of `pool` with this secret.
    pub fn new(pool: &Pool, secret: &str) -> Self {
        // A key for each pool: a cookie of one says nothing in another.
        let of_pool = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let key =
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&of_pool, pool.name.as_bytes()).as_ref());
        let number = |name: &str| {
            let mut number = [0; NUMBER_BYTES];
            // Told apart from what is signed by its beginning, which no number and time have.
            let sign = hmac::sign(&key, format!("backend named {name}").as_bytes());
            number.copy_from_slice(&sign.as_ref()[..NUMBER_BYTES]);
            number
        };
        let numbers = pool.backends.iter().map(|it| number(&it.name)).collect();
        Self { key, numbers }
    }

    /// Writes a cookie's value.
    pub fn write(&self, session: Session) -> Option<String> {
        let mut bytes = [0; BYTES];
        bytes[..NUMBER_BYTES].copy_from_slice(self.numbers.get(session.index)?);
        bytes[NUMBER_BYTES..SIGNED_BYTES].copy_from_slice(&session.expires.to_be_bytes());
        let signature = hmac::sign(&self.key, &bytes[..SIGNED_BYTES]);
        bytes[SIGNED_BYTES..].copy_from_slice(&signature.as_ref()[..SIGNATURE_BYTES]);
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads a cookie's value at `now`, in seconds since the Unix epoch. `None` if it is not one of
    /// ours, or no longer.
    pub fn read(&self, value: &[u8], now: u64) -> Option<Session> {
        let mut bytes = [0; BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(value, &mut bytes).ok()?;
        let (signed, signature) = bytes.split_at(SIGNED_BYTES);
        let expected = hmac::sign(&self.key, signed);
        let is_ours: bool = signature.ct_eq(&expected.as_ref()[..SIGNATURE_BYTES]).into();
        if length != BYTES || !is_ours {
            return None;
        }
        let (number, expires) = signed.split_at(NUMBER_BYTES);
        let expires = u64::from_be_bytes(expires.try_into().ok()?);
        let index = self.numbers.iter().position(|it| it == number)?;
        (now < expires).then_some(Session { index, expires })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::sample;

    const SECRET: &str = "a-secret-of-32-bytes-for-testing";

    fn cookies(secret: &str) -> Cookies {
        Cookies::new(&sample::pool("api", &[(0, 1), (0, 1), (1, 1)]), secret)
    }

    #[test]
    fn a_cookie_is_read_by_every_proxy_that_has_the_secret_until_it_expires() {
        let session = Session { index: 2, expires: 1_000 };
        let value = cookies(SECRET).write(session).unwrap();
        assert_eq!(cookies(SECRET).read(value.as_bytes(), 999), Some(session));
        assert_eq!(cookies(SECRET).read(value.as_bytes(), 1_000), None);
        assert_eq!(cookies("another-secret-for-the-same-pool").read(value.as_bytes(), 0), None);
        let other = Cookies::new(&sample::pool("web", &[(0, 1), (0, 1), (1, 1)]), SECRET);
        assert_eq!(other.read(value.as_bytes(), 0), None);
        // The backend is known by its name, not by its place.
        let mut pool = sample::pool("api", &[(0, 1), (0, 1), (1, 1)]);
        pool.backends.reverse();
        let found = Cookies::new(&pool, SECRET).read(value.as_bytes(), 0).unwrap();
        assert_eq!(found.index, 0);
        pool.backends.remove(0);
        assert_eq!(Cookies::new(&pool, SECRET).read(value.as_bytes(), 0), None);
        assert_eq!(cookies(SECRET).write(Session { index: 3, expires: 1 }), None);
    }

    proptest! {
        #[test]
        fn a_cookie_that_was_tampered_with_names_nobody(
            index in 0_usize..3,
            expires in any::<u64>(),
            at in any::<prop::sample::Index>(),
            other in "[A-Za-z0-9_-]",
        ) {
            let cookies = cookies(SECRET);
            let value = cookies.write(Session { index, expires }).unwrap();
            let at = at.index(value.len());
            let mut tampered = value.clone();
            tampered.replace_range(at..=at, &other);
            prop_assume!(tampered != value);
            prop_assert_eq!(cookies.read(tampered.as_bytes(), 0), None);
            prop_assert_eq!(cookies.read(&value.as_bytes()[1..], 0), None);
        }

        #[test]
        fn no_cookie_at_all_makes_the_reader_panic(
            field in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let cookies = cookies(SECRET);
            prop_assert_eq!(cookies.read(&field, 0), None);
        }
    }
}

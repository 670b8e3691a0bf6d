//! Cookies: what is found is what stands there, and none of ours can be made up.

use std::sync::LazyLock;

use bascule::{
    sticky::{Cookies, Session},
    wire::cookie::{values, without},
};
use http::{HeaderMap, HeaderValue, header::COOKIE};

use super::sample::TOPOLOGY;

const SECRET: &str = "a-secret-of-32-bytes-for-fuzzing";
const NAME: &str = "sid";

static COOKIES: LazyLock<Cookies> = LazyLock::new(|| Cookies::new(&TOPOLOGY.pools[0], SECRET));

pub fn check(bytes: &[u8]) {
    assert_eq!(COOKIES.read(bytes, 0), None, "nobody can sign without the secret");
    let mut headers = HeaderMap::new();
    for line in bytes.split(|it| *it == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        headers.append(COOKIE, value);
    }
    let found: Vec<Vec<u8>> = values(&headers, NAME).map(<[u8]>::to_vec).collect();
    for value in &found {
        assert!(!value.contains(&b';'));
        assert_eq!(COOKIES.read(value, 0), None);
    }
    for field in headers.get_all(COOKIE) {
        let field = field.as_bytes();
        let Some(kept) = without(field, NAME) else { continue };
        assert!(!kept.is_empty() && kept.len() <= 2 * field.len());
        assert_eq!(without(&kept, NAME).as_ref(), Some(&kept), "what is left has none");
    }
    // A cookie of ours is found behind whatever else was sent, in a line of its own.
    let session = Session { index: bytes.len() % 2, expires: 1 + bytes.len() as u64 };
    let ours = COOKIES.write(session).expect("one of the backends");
    headers.append(COOKIE, HeaderValue::try_from(format!("{NAME}={ours}")).expect("visible"));
    let read: Vec<Session> = values(&headers, NAME).filter_map(|it| COOKIES.read(it, 0)).collect();
    assert_eq!(read, [session]);
    assert_eq!(values(&headers, NAME).count(), found.len() + 1);
}

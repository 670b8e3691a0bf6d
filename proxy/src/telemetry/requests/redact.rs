//! What is not written down of a request: tokens in queries, headers that carry secrets.

use std::borrow::Cow;

/// Stands for what was there.
pub(crate) const REDACTED: &[u8] = b"[redacted]";

/// Returns a query without the values of the parameters called like one of `names`, which are in
/// lower case. Names are compared as servers read them: `%74oken` is `token`.
pub(crate) fn query<'a>(query: &'a [u8], names: &[String]) -> Cow<'a, [u8]> {
    let is_hidden = |pair: &[u8]| {
        let name = pair.split(|&it| it == b'=').next().unwrap_or_default();
        pair.len() != name.len() && is_among(name, names)
    };
    let pairs = || query.split(|&it| it == b'&' || it == b';');
    if !pairs().any(is_hidden) {
        return Cow::Borrowed(query);
    }
    let mut shown = Vec::with_capacity(query.len());
    let mut at = 0;
    for pair in pairs() {
        if is_hidden(pair) {
            let name = pair.split(|&it| it == b'=').next().unwrap_or_default();
            shown.extend_from_slice(name);
            shown.push(b'=');
            shown.extend_from_slice(REDACTED);
        } else {
            shown.extend_from_slice(pair);
        }
        at += pair.len();
        shown.extend(query.get(at));
        at += 1;
    }
    Cow::Owned(shown)
}

/// Returns a URL, or a path, with its query redacted.
pub(crate) fn url<'a>(url: &'a [u8], names: &[String]) -> Cow<'a, [u8]> {
    let Some(at) = url.iter().position(|&it| it == b'?') else { return Cow::Borrowed(url) };
    match query(&url[at + 1..], names) {
        Cow::Borrowed(_) => Cow::Borrowed(url),
        Cow::Owned(shown) => Cow::Owned([&url[..=at], &shown].concat()),
    }
}

fn is_among(name: &[u8], names: &[String]) -> bool {
    let plain = decoded(name);
    names.iter().any(|it| it.as_bytes().eq_ignore_ascii_case(&plain))
}

/// Returns a name as servers read it.
fn decoded(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.contains(&b'%') {
        return Cow::Borrowed(name);
    }
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|it| std::str::from_utf8(it).ok());
        let byte = digits.and_then(|it| u8::from_str_radix(it, 16).ok());
        let (next, left) = match byte.filter(|_| first == b'%') {
            Some(byte) => (byte, &after[2..]),
            None => (first, after),
        };
        plain.push(next);
        rest = left;
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> Vec<String> {
        vec!["token".to_owned(), "sig".to_owned()]
    }

    #[track_caller]
    fn check(sent: &str, shown: &str) {
        let found = query(sent.as_bytes(), &names());
        assert_eq!(std::str::from_utf8(&found).unwrap(), shown);
    }

    #[test]
    fn the_values_of_secrets_are_replaced_and_nothing_else() {
        check("", "");
        check("a=b&c", "a=b&c");
        check("token=x", "token=[redacted]");
        check("a=b&token=x&c=d", "a=b&token=[redacted]&c=d");
        check("a=b;TOKEN=x", "a=b;TOKEN=[redacted]");
        check("token=x=y&sig=", "token=[redacted]&sig=[redacted]");
        check("%74oken=x&to%6Ben=y", "%74oken=[redacted]&to%6Ben=[redacted]");
        check("token", "token");
        check("tokens=x&mytoken=y", "tokens=x&mytoken=y");
        check("%=1&%4=2&%zz=3", "%=1&%4=2&%zz=3");
        check("&&token=x&&", "&&token=[redacted]&&");
    }

    #[test]
    fn a_url_keeps_what_is_before_its_query() {
        let check = |sent: &str, shown: &str| {
            assert_eq!(&*url(sent.as_bytes(), &names()), shown.as_bytes());
        };
        check("/a", "/a");
        check("/a?b=c", "/a?b=c");
        check("https://x/a?token=1&b", "https://x/a?token=[redacted]&b");
    }

    proptest! {
        #[test]
        fn no_secret_is_left(
            before in "[a-z=&;%0-9]{0,20}", secret in "[A-Z]{8}", after in "[a-z=&;%0-9]{0,20}",
        ) {
            let sent = format!("{before}&token={secret}&{after}");
            let shown = query(sent.as_bytes(), &names());
            let shown = String::from_utf8_lossy(&shown);
            prop_assert!(!shown.contains(&secret), "{}", shown);
        }

        #[test]
        fn without_secrets_nothing_changes(sent in "[a-h=&;0-9?/]{0,40}") {
            prop_assert_eq!(&*query(sent.as_bytes(), &names()), sent.as_bytes());
        }
    }
}

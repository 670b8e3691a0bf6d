//! Cookies as clients send them (RFC 6265 §4.2): one found, or taken away, among others.

use http::{HeaderMap, header::COOKIE};

/// Finds the values of all cookies called `name`, in the order in which they were sent.
pub fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    among(headers.get_all(COOKIE).iter().map(|it| it.as_bytes()), name)
}

/// The same in these `Cookie` fields.
pub fn among<'a>(
    fields: impl Iterator<Item = &'a [u8]>,
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> {
    fields.flat_map(pairs).filter_map(move |pair| of_name(pair, name))
}

/// Returns a `Cookie` field without the cookies of this name; `None` if no other is left.
pub fn without(field: &[u8], name: &str) -> Option<Vec<u8>> {
    let kept: Vec<&[u8]> = pairs(field).filter(|it| of_name(it, name).is_none()).collect();
    (!kept.is_empty()).then(|| kept.join(&b"; "[..]))
}

fn pairs(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|&it| it == b';').map(<[u8]>::trim_ascii).filter(|it| !it.is_empty())
}

fn of_name<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn cookies_of_one_name_are_found_in_all_lines() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; sid=x=; sid2=y;  b=\"2\" ;"));
        headers.append(COOKIE, HeaderValue::from_static("c=d;sid=;sid=e=f ; xsid=g"));
        let found: Vec<&[u8]> = values(&headers, "sid").collect();
        assert_eq!(found, [&b"x="[..], b"", b"e=f"]);
        assert_eq!(values(&headers, "id").next(), None);
    }

    #[test]
    fn cookies_of_one_name_are_taken_away_and_the_others_stay() {
        let field = b"a=1; sid=x=; sid2=y;  b=\"2\" ;";
        assert_eq!(without(field, "sid").unwrap(), b"a=1; sid2=y; b=\"2\"");
        assert_eq!(without(b"sid=x; sid=y", "sid"), None);
    }
}

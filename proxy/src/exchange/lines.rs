//! The headers of a message on its way through, as lines: borrowed from where they came from, with
//! what becomes of them.
//!
//! Pingora keeps headers in two hash maps, one of values and one of how names were spelled. To copy
//! both and change the copy costs more than anything else that is done for a usual request. For the
//! few dozen lines of a message it is less work to look at one after the other than to hash a name.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Lines that the proxy adds to nearly every message: room for them.
const ADDED: usize = 8;

/// The headers of a message, in order.
#[derive(Clone, Debug)]
pub(crate) struct Lines<'a>(Vec<Line<'a>>);

/// A header.
#[derive(Clone, Debug)]
struct Line<'a> {
    /// As it is spelled.
    name: Cow<'a, [u8]>,
    value: Cow<'a, [u8]>,
}

impl Line<'_> {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

impl<'a> Lines<'a> {
    /// Makes room for so many lines, and for those that the proxy adds.
    pub(crate) fn with_room_for(lines: usize) -> Self {
        Self(Vec::with_capacity(lines + ADDED))
    }

    /// Returns all lines.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|it| (&it.name[..], &it.value[..]))
    }

    /// Returns the values of a header.
    pub(crate) fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b [u8]> {
        self.0.iter().filter(move |it| it.is(name)).map(|it| &it.value[..])
    }

    /// Returns the first value of a header.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|it| it.is(name)).map(|it| &it.value[..])
    }

    /// Takes a header out.
    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|it| !it.is(name));
    }

    /// Keeps the headers whose names pass.
    pub(crate) fn retain(&mut self, passes: impl Fn(&[u8]) -> bool) {
        self.0.retain(|it| passes(&it.name));
    }

    /// Adds a line as it came.
    pub(crate) fn push(&mut self, name: &'a [u8], value: &'a [u8]) {
        self.0.push(Line { name: Cow::Borrowed(name), value: Cow::Borrowed(value) });
    }

    /// Adds a line.
    pub(crate) fn add(&mut self, name: &'a str, value: impl Into<Cow<'a, [u8]>>) {
        self.0.push(Line { name: Cow::Borrowed(name.as_bytes()), value: value.into() });
    }

    /// Puts one line in the place of all of its name.
    pub(crate) fn set(&mut self, name: &'a str, value: impl Into<Cow<'a, [u8]>>) {
        self.set_line(Cow::Borrowed(name.as_bytes()), name, value.into());
    }

    /// Adds a line, spelled as is usual.
    pub(crate) fn add_usual(&mut self, name: &HeaderName, value: &'a HeaderValue) {
        self.0.push(Line { name: usual(name), value: Cow::Borrowed(value.as_bytes()) });
    }

    /// Puts one line, spelled as is usual, in the place of all of its name.
    pub(crate) fn set_usual(&mut self, name: &HeaderName, value: &'a HeaderValue) {
        self.set_line(usual(name), name.as_str(), Cow::Borrowed(value.as_bytes()));
    }

    fn set_line(&mut self, spelled: Cow<'a, [u8]>, name: &str, value: Cow<'a, [u8]>) {
        let line = Line { name: spelled, value };
        let Some(at) = self.0.iter().position(|it| it.is(name)) else {
            return self.0.push(line);
        };
        let mut seen = 0;
        self.0.retain(|it| {
            let is_one = it.is(name);
            seen += usize::from(is_one);
            !is_one || seen == 1
        });
        self.0[at] = line;
    }

    /// Returns them as a map, for those who say them in HTTP/2.
    pub(crate) fn map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.0.len());
        for (name, value) in self.iter() {
            // Neither fails with what was a header, nor with what the proxy adds to it; and a map has
            // a bound beyond which it panics.
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
                && map.try_append(name, value).is_err()
            {
                break;
            }
        }
        map
    }
}

/// Spells a name as is usual before HTTP/2: some old servers know no other way.
fn usual(name: &HeaderName) -> Cow<'static, [u8]> {
    let mut spelled = name.as_str().as_bytes().to_vec();
    let mut begins = true;
    for byte in &mut spelled {
        if begins {
            byte.make_ascii_uppercase();
        }
        begins = *byte == b'-';
    }
    Cow::Owned(spelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Lines<'static> {
        let mut lines = Lines::with_room_for(4);
        for (name, value) in [("X-One", "1"), ("x-two", "2"), ("X-ONE", "3"), ("Host", "a")] {
            lines.add(name, value.as_bytes());
        }
        lines
    }

    fn text(lines: &Lines<'_>) -> String {
        let line = |(name, value): (&[u8], &[u8])| {
            format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
        };
        lines.iter().map(line).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn names_are_found_in_any_spelling_and_keep_theirs() {
        let lines = lines();
        assert_eq!(lines.all("x-one").collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!(lines.get("X-TWO"), Some(&b"2"[..]));
        assert_eq!(text(&lines), "X-One=1 x-two=2 X-ONE=3 Host=a");
        assert_eq!((lines.map().len(), &lines.map()["x-one"]), (4, &"1".parse().unwrap()));
    }

    #[test]
    fn one_line_takes_the_place_of_all_of_its_name() {
        let mut lines = lines();
        lines.set("x-one", &b"new"[..]);
        lines.set("x-three", &b"3"[..]);
        lines.add("X-Two", &b"more"[..]);
        lines.remove("host");
        assert_eq!(text(&lines), "x-one=new x-two=2 x-three=3 X-Two=more");
        lines.retain(|name| name != b"x-two");
        assert_eq!(text(&lines), "x-one=new x-three=3 X-Two=more");
    }

    #[test]
    fn what_a_route_sets_is_spelled_as_is_usual() {
        let (name, value) = (HeaderName::from_static("x-one"), HeaderValue::from_static("v"));
        let mut lines = lines();
        lines.set_usual(&name, &value);
        lines.add_usual(&name, &value);
        assert_eq!(text(&lines), "X-One=v x-two=2 Host=a X-One=v");
    }
}

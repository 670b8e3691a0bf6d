//! The headers of a head, where they stand in the bytes that they came in.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

/// A header as it stands on the wire: the name keeps its case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, never empty, of token characters only.
    pub name: &'a [u8],
    /// The value, without white space around it and without folds.
    pub value: &'a [u8],
}

impl Field<'_> {
    /// Tells whether the header has this name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Headers, in order.
///
/// A head is looked at a few times and then gone. So its headers are no values of their own, each of which
/// would share the memory of the head and be counted, but places in it.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    bytes: Bytes,
    places: Vec<Place>,
}

/// Where a header stands. A head is shorter than 4 GiB.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    name: (u32, u32),
    value: (u32, u32),
}

impl Fields {
    /// Returns the headers that stand at these places of a head.
    pub(crate) fn within(bytes: Bytes, places: Places) -> Self {
        Self { bytes, places: places.0 }
    }

    /// Copies headers.
    pub fn copied<'a>(headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let (mut bytes, mut places) = (BytesMut::new(), Vec::new());
        let mut put = |part: &[u8]| {
            bytes.put_slice(part);
            (narrow(bytes.len() - part.len()), narrow(part.len()))
        };
        for (name, value) in headers {
            places.push(Place { name: put(name), value: put(value) });
        }
        Self { bytes: bytes.freeze(), places }
    }

    /// Returns all headers.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.places.iter().map(|it| self.at(*it))
    }

    /// Returns the values of a header, whose name may be in any case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |it| it.is(name)).map(|it| it.value)
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Keeps the headers that pass.
    pub(crate) fn retain(&mut self, mut passes: impl FnMut(Field<'_>) -> bool) {
        let bytes = &self.bytes;
        self.places.retain(|it| passes(it.of(bytes)));
    }

    /// Leaves of the values of a header the part that `of` returns for each.
    pub(crate) fn narrow_values(&mut self, name: &str, of: impl Fn(&[u8]) -> Range<usize>) {
        let bytes = &self.bytes;
        for place in self.places.iter_mut().filter(|it| it.of(bytes).is(name)) {
            let part = of(place.of(bytes).value);
            place.value = (place.value.0 + narrow(part.start), narrow(part.len()));
        }
    }

    fn at(&self, place: Place) -> Field<'_> {
        place.of(&self.bytes)
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Fields {}

impl Place {
    fn of(self, bytes: &[u8]) -> Field<'_> {
        let part = |(start, length): (u32, u32)| &bytes[start as usize..][..length as usize];
        Field { name: part(self.name), value: part(self.value) }
    }
}

/// Where headers stand in bytes that are being parsed.
#[derive(Debug)]
pub(crate) struct Places(Vec<Place>);

impl Places {
    /// Notes where `headers` stand, all of which are parts of `bytes`, or nothing.
    pub(crate) fn of<'a>(
        bytes: &[u8],
        headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Self {
        let place = |part: &[u8]| place(bytes, part);
        Self(
            headers.map(|(name, value)| Place { name: place(name), value: place(value) }).collect(),
        )
    }
}

/// Returns where a part of `bytes` stands. Nothing may be anywhere, also outside.
fn place(bytes: &[u8], part: &[u8]) -> (u32, u32) {
    if part.is_empty() {
        return (0, 0);
    }
    (narrow((part.as_ptr() as usize).wrapping_sub(bytes.as_ptr() as usize)), narrow(part.len()))
}

/// A head is never that long.
fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        let bytes = b"A: 1\r\nb:  two\r\na:\r\n";
        let headers = [(0..1, 3..4), (6..7, 10..13), (15..16, 0..0)];
        let headers = headers.into_iter().map(|(name, value)| (&bytes[name], &bytes[value]));
        Fields::within(Bytes::from_static(bytes), Places::of(bytes, headers))
    }

    #[test]
    fn they_are_found_where_they_stand() {
        let fields = fields();
        let all: Vec<_> = fields.iter().map(|it| (it.name, it.value)).collect();
        assert_eq!(all, [(&b"A"[..], &b"1"[..]), (b"b", b"two"), (b"a", b"")]);
        assert_eq!(fields.values("a").collect::<Vec<_>>(), [&b"1"[..], b""]);
        assert_eq!((fields.len(), fields.is_empty()), (3, false));
        assert_eq!(Fields::copied(all), fields);
    }

    #[test]
    fn what_does_not_pass_is_gone_and_values_can_be_cut() {
        let mut fields = fields();
        fields.retain(|it| !it.is("A"));
        fields.narrow_values("B", |value| 1..value.len());
        assert_eq!(fields, Fields::copied([(&b"b"[..], &b"wo"[..])]));
    }
}

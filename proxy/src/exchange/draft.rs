//! A request on its way to a backend, before it is written.

use std::{
    borrow::Cow,
    ops::{Deref, DerefMut},
};

use http::{Method, Uri, Version};
use pingora::{Result, http::RequestHeader};

use crate::{exchange::lines::Lines, wire::incoming::Parts};

/// A request as it will be sent: what the client has sent, and what becomes of it.
#[derive(Clone, Debug)]
pub(crate) struct Draft<'a> {
    header: &'a RequestHeader,
    /// Takes the place of the client's target.
    target: Option<Cow<'a, [u8]>>,
    lines: Lines<'a>,
}

/// Nearly all that is changed of a request is its headers.
impl<'a> Deref for Draft<'a> {
    type Target = Lines<'a>;

    fn deref(&self) -> &Lines<'a> {
        &self.lines
    }
}

impl DerefMut for Draft<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.lines
    }
}

impl<'a> Draft<'a> {
    /// Begins with what the client has sent.
    pub(crate) fn of(header: &'a RequestHeader) -> Self {
        let mut lines = Lines::with_room_for(header.headers.len());
        if header.has_case() {
            for (name, value) in header.case_header_iter() {
                lines.push(name.as_slice(), value.as_bytes());
            }
        } else {
            for (name, value) in &header.headers {
                lines.push(name.as_str().as_bytes(), value.as_bytes());
            }
        }
        Self { header, target: None, lines }
    }

    /// The same, with names spelled and in the order as in `head`, which the header was made of.
    pub(crate) fn over(header: &'a RequestHeader, head: &'a [u8]) -> Self {
        let Some(parts) = Parts::of(head) else { return Self::of(header) };
        let mut lines = Lines::with_room_for(header.headers.len());
        parts.headers().for_each(|(name, value)| lines.push(name, value));
        Self { header, target: None, lines }
    }

    pub(crate) fn method(&self) -> &'a Method {
        &self.header.method
    }

    /// Returns the version in which the client sent it.
    pub(crate) fn version(&self) -> Version {
        self.header.version
    }

    /// Returns the target, as it will be sent over HTTP/1.1.
    pub(crate) fn target(&self) -> &[u8] {
        self.target.as_deref().unwrap_or_else(|| self.header.raw_path())
    }

    /// Returns the authority, where the target has one.
    pub(crate) fn authority(&self) -> Option<&'a str> {
        if self.target.is_some() {
            return None;
        }
        self.header.uri.authority().map(|it| it.as_str())
    }

    /// Puts another target, a path, in the place of the client's.
    pub(crate) fn set_target(&mut self, target: impl Into<Cow<'a, [u8]>>) {
        self.target = Some(target.into());
    }

    /// Makes the target a path, as it was asked for.
    pub(crate) fn forget_authority(&mut self) {
        let is_path = matches!(self.target().first(), Some(b'/' | b'*' | b'?'));
        if is_path && self.authority().is_none() {
            return;
        }
        let path = self.header.uri.path_and_query().map_or("/", |it| it.as_str());
        self.set_target(path.as_bytes());
    }

    /// Returns target and headers as HTTP/2 takes them.
    ///
    /// # Errors
    /// When the target is none.
    pub(crate) fn parts(&self) -> Result<(Uri, http::HeaderMap)> {
        let uri = match &self.target {
            None => self.header.uri.clone(),
            Some(target) => RequestHeader::build_no_case(Method::GET, target, Some(0))?.uri.clone(),
        };
        Ok((uri, self.lines.map()))
    }

    /// Makes a header of it, as Pingora has them.
    ///
    /// # Errors
    /// When the target is none, or a value holds what it must not.
    pub(crate) fn to_header(&self) -> Result<RequestHeader> {
        let room = Some(self.header.headers.len());
        let mut header = RequestHeader::build(self.method().clone(), self.target(), room)?;
        header.set_version(self.version());
        if self.authority().is_some() && self.version() == Version::HTTP_2 {
            header.set_uri(self.header.uri.clone());
        }
        for (name, value) in self.lines.iter() {
            header.append_header(String::from_utf8_lossy(name).into_owned(), value)?;
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_get_the_same_request() {
        let mut request = RequestHeader::build("GET", b"/a?b", None).unwrap();
        for (name, value) in [("X-One", "1"), ("x-two", "2"), ("X-ONE", "3")] {
            request.append_header(name, value).unwrap();
        }
        let head = b"GET /a?b HTTP/1.1\r\nx-two: 2\r\nX-ONE:  3\r\n\r\n";
        let over: Vec<_> = Draft::over(&request, head)
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect();
        assert_eq!(over, [(b"x-two".to_vec(), b"2".to_vec()), (b"X-ONE".to_vec(), b"3".to_vec())]);
        let mut draft = Draft::of(&request);
        let lines: Vec<_> = draft.iter().collect();
        assert_eq!(lines, [(&b"X-One"[..], &b"1"[..]), (b"X-ONE", b"3"), (b"x-two", b"2")]);
        draft.set_target(&b"/c"[..]);
        draft.remove("x-one");
        let header = draft.to_header().unwrap();
        assert_eq!(header.raw_path(), b"/c");
        let again = Draft::of(&header);
        assert_eq!(again.iter().collect::<Vec<_>>(), [(&b"x-two"[..], &b"2"[..])]);
        let (uri, headers) = draft.parts().unwrap();
        assert_eq!((uri.path(), headers.len()), ("/c", 1));
    }
}

//! Every kind of textual value there is, by the name that the schema calls it.

use crate::config::units::{
    Fault, FilePath, Name, Percent, Statuses,
    check::{HeaderLine, Service, Text},
    duration::{Length, Wait},
    http::{Host, Method, Origin, UrlPath},
    leaf::Leaf,
    matching::{FieldValue, HostPattern, PathTemplate, Pattern},
    net::{Address, Listen, Network, Url},
    number::{Capacity, Factor},
    response::{Body, Location, RedirectStatus},
    size::Size,
};

/// What the checker needs of a [`Leaf`], without its type.
#[derive(Debug)]
pub(crate) struct LeafKind {
    pub(crate) format: &'static str,
    pub(crate) what: &'static str,
    pub(crate) example: &'static str,
    pub(crate) check: fn(&str) -> Result<(), Fault>,
}

const fn kind_of<L: Leaf>() -> LeafKind {
    LeafKind {
        format: L::FORMAT,
        what: L::WHAT,
        example: L::EXAMPLE,
        check: |text| L::parse(text).map(drop),
    }
}

/// Every kind there is.
const KINDS: &[LeafKind] = &[
    kind_of::<Length>(),
    kind_of::<Wait>(),
    kind_of::<Size>(),
    kind_of::<Percent>(),
    kind_of::<Factor>(),
    kind_of::<Capacity>(),
    kind_of::<Statuses>(),
    kind_of::<Name>(),
    kind_of::<FilePath>(),
    kind_of::<Address>(),
    kind_of::<Listen>(),
    kind_of::<Url>(),
    kind_of::<Host>(),
    kind_of::<Origin>(),
    kind_of::<Network>(),
    kind_of::<UrlPath>(),
    kind_of::<HeaderLine>(),
    kind_of::<Service>(),
    kind_of::<Text>(),
    kind_of::<Method>(),
    kind_of::<HostPattern>(),
    kind_of::<Pattern>(),
    kind_of::<PathTemplate>(),
    kind_of::<FieldValue>(),
    kind_of::<RedirectStatus>(),
    kind_of::<Location>(),
    kind_of::<Body>(),
];

/// Returns the kind that the schema calls `format`.
pub(crate) fn kind_named(format: &str) -> Option<&'static LeafKind> {
    KINDS.iter().find(|kind| kind.format == format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_valid() {
        for kind in KINDS {
            assert_eq!((kind.check)(kind.example), Ok(()), "{}", kind.format);
        }
    }
}

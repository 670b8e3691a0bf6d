//! What health checks say and expect.

use crate::{
    config::{
        path::clip,
        units::{
            Fault,
            leaf::{Leaf, leaf_impls},
        },
    },
    wire::{self, grpc_health::SERVICE_MAX},
};

/// Longest text that is looked for.
const TEXT_MAX: usize = 1024;

/// Headers that say where a message ends or whose it is; the proxy writes these itself.
const OURS: [&str; 5] = ["host", "content-length", "transfer-encoding", "connection", "te"];

/// A header as it is sent: its name, a colon, its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderLine {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// Text that an answer must contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) String);

/// The name of a service of gRPC; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Service(pub(crate) String);

leaf_impls!(HeaderLine, Text, Service);

impl Leaf for HeaderLine {
    const FORMAT: &'static str = "bascule-header-line";
    const WHAT: &'static str = "a header such as `X-Check: bascule`";
    const EXAMPLE: &'static str = "X-Check: bascule";

    fn parse(text: &str) -> Result<Self, Fault> {
        let parts = text.split_once(':').map(|(name, value)| (name, value.trim()));
        let is_name = |it: &str| !it.is_empty() && it.bytes().all(wire::is_token);
        let is_value = |it: &str| it.bytes().all(|it| it == b' ' || it.is_ascii_graphic());
        match parts {
            Some((name, _)) if OURS.contains(&name.to_ascii_lowercase().as_str()) => {
                let message = format!("`{}` is written by the proxy itself", clip(name));
                Err(Fault::new(message, "remove it; `host` has a key of its own"))
            }
            Some((name, value)) if is_name(name) && is_value(value) => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            Some(_) | None => {
                let message = format!("`{}` is not a header", clip(text));
                Err(Fault::new(message, "write name and value: `X-Check: bascule`"))
            }
        }
    }

    fn write(&self) -> String {
        format!("{}: {}", self.name, self.value)
    }
}

impl Leaf for Text {
    const FORMAT: &'static str = "bascule-text";
    const WHAT: &'static str = "text";
    const EXAMPLE: &'static str = "ready";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() || TEXT_MAX < text.len() {
            let message = format!("{} bytes cannot be looked for", text.len());
            return Err(Fault::new(message, format!("write 1 to {TEXT_MAX} bytes of text")));
        }
        Ok(Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Leaf for Service {
    const FORMAT: &'static str = "bascule-service";
    const WHAT: &'static str = "the name of a service such as `shop.v1.Orders`";
    const EXAMPLE: &'static str = "shop.v1.Orders";

    fn parse(text: &str) -> Result<Self, Fault> {
        if SERVICE_MAX < text.len() || !text.bytes().all(|it| it.is_ascii_graphic()) {
            let message = format!("`{}` cannot be a service", clip(text));
            let remedy = format!(
                "write its full name, `shop.v1.Orders`, up to {SERVICE_MAX} letters; \
                 `\"\"` for the server as a whole"
            );
            return Err(Fault::new(message, remedy));
        }
        Ok(Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let found = HeaderLine::parse(text).map(|it| it.write()).map_err(|it| it.remedy);
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        };
        check("X-Check:  bascule ", Ok("X-Check: bascule"));
        check("X-Empty:", Ok("X-Empty: "));
        check("Host: a", Err("remove it; `host` has a key of its own"));
        for bad in ["X-Check", ": a", "X Check: a", "X-Check: a\r\nX-Other: b", "X-Check: ä"] {
            check(bad, Err("write name and value: `X-Check: bascule`"));
        }
    }

    #[test]
    fn a_service_may_have_no_name() {
        assert_eq!(Service::parse(""), Ok(Service::default()));
        assert!(Service::parse("shop.v1.Orders").is_ok());
        assert!(Service::parse("a b").is_err());
        assert!(Service::parse(&"a".repeat(256)).is_err());
    }
}

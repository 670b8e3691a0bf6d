//! What requests are recognised by: hosts, origins, paths and methods.

use std::net::Ipv6Addr;

use crate::{
    config::{
        path::clip,
        units::{
            Fault,
            leaf::{Leaf, leaf_impls},
            net::{Url, is_host_name},
        },
    },
    model::BackendAddress,
};

/// The host that a request names, lower case, without port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host(pub(crate) String);

/// Where a web page comes from, as browsers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin(pub(crate) String);

/// The path of a request, without query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UrlPath(pub(crate) String);

/// An HTTP method, upper case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Method(pub(crate) String);

leaf_impls!(Host, Origin, UrlPath, Method);

impl Leaf for Host {
    const FORMAT: &'static str = "bascule-host";
    const WHAT: &'static str = "a host such as `api.example.com`";
    const EXAMPLE: &'static str = "api.example.com";

    fn parse(text: &str) -> Result<Self, Fault> {
        let lower = text.to_ascii_lowercase();
        let inner = lower.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let is_ipv6 = inner.is_some_and(|it| it.parse::<Ipv6Addr>().is_ok());
        if is_ipv6 || is_host_name(&lower) {
            return Ok(Self(lower));
        }
        let without_port =
            lower.rsplit_once(':').map(|(host, _)| host).filter(|it| is_host_name(it));
        Err(match without_port {
            Some(host) => Fault::new(
                format!("`{}` is more than a host", clip(text)),
                format!("write `{host}`; the port does not matter"),
            ),
            None => {
                let message = format!("`{}` is not a host", clip(text));
                Fault::new(message, "write a host alone: `api.example.com`, `192.0.2.1`, `[::1]`")
            }
        })
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Leaf for Origin {
    const FORMAT: &'static str = "bascule-origin";
    const WHAT: &'static str = "an origin such as `http://127.0.0.1:3000`";
    const EXAMPLE: &'static str = "http://127.0.0.1:3000";

    fn parse(text: &str) -> Result<Self, Fault> {
        if text == "*" || text == "null" {
            let message =
                format!("`{text}` would let any page in a browser change the proxy's state");
            return Err(Fault::new(message, "list each origin: `http://127.0.0.1:3000`"));
        }
        let url = Url::parse(text)?;
        if matches!(url.address, BackendAddress::Unix(_)) {
            let message = format!("`{}` is not where a page comes from", clip(text));
            return Err(Fault::new(message, "list each origin: `http://127.0.0.1:3000`"));
        }
        // Browsers leave out the scheme's own port, and origins are compared to the letter.
        let default_port = if url.address.is_tls() { 443 } else { 80 };
        let origin = url.address.to_string();
        let own_port = format!(":{default_port}");
        Ok(Self(origin.strip_suffix(&own_port).unwrap_or(&origin).to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Leaf for UrlPath {
    const FORMAT: &'static str = "bascule-path";
    const WHAT: &'static str = "a path such as `/health`";
    const EXAMPLE: &'static str = "/health";

    fn parse(text: &str) -> Result<Self, Fault> {
        let fault = |message: &str, remedy: String| {
            Err(Fault::new(format!("`{}` {message}", clip(text)), remedy))
        };
        if !text.starts_with('/') {
            return fault("does not begin with `/`", format!("write `/{}`", clip(text)));
        }
        if let Some((path, _)) = text.split_once(['?', '#']) {
            return fault("is more than a path", format!("write `{}`", clip(path)));
        }
        if text.contains('*') {
            let prefix = text.split('*').next().unwrap_or_default();
            let remedy =
                format!("for everything below a path, write `path_prefix: {}`", clip(prefix));
            return fault("has a `*`, which has no meaning", remedy);
        }
        if !text.bytes().all(|it| it.is_ascii_graphic()) {
            return fault("has characters that no path has", "write them as `%XX`".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl Leaf for Method {
    const FORMAT: &'static str = "bascule-method";
    const WHAT: &'static str = "an HTTP method such as `GET`";
    const EXAMPLE: &'static str = "GET";

    fn parse(text: &str) -> Result<Self, Fault> {
        let is_word = !text.is_empty()
            && text.len() <= 32
            && text.bytes().all(|it| it.is_ascii_alphabetic() || it == b'-' || it == b'_');
        if !is_word {
            let message = format!("`{}` is not an HTTP method", clip(text));
            return Err(Fault::new(message, "write `GET`, `POST`, `PUT`, …"));
        }
        let upper = text.to_ascii_uppercase();
        if upper != text {
            let message =
                format!("`{text}` is not in capitals, and methods are compared to the letter");
            return Err(Fault::new(message, format!("write `{upper}`")));
        }
        Ok(Self(upper))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` is what is written back, or the remedy.
    fn check<L: Leaf>(text: &str, expected: Result<&str, &str>) {
        let found = L::parse(text).map(|it| it.write()).map_err(|fault| fault.remedy);
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn a_host_is_lower_case_and_has_no_port() {
        check::<Host>("API.Example.com", Ok("api.example.com"));
        check::<Host>("[::1]", Ok("[::1]"));
        check::<Host>("a.example:80", Err("write `a.example`; the port does not matter"));
    }

    #[test]
    fn an_origin_is_as_browsers_write_it() {
        check::<Origin>("http://127.0.0.1:3000", Ok("http://127.0.0.1:3000"));
        check::<Origin>("https://Example.com:443/", Ok("https://example.com"));
        check::<Origin>("http://example.com", Ok("http://example.com"));
        check::<Origin>("*", Err("list each origin: `http://127.0.0.1:3000`"));
    }

    #[test]
    fn a_path_begins_with_a_slash_and_ends_before_the_query() {
        check::<UrlPath>("/v1/%20", Ok("/v1/%20"));
        check::<UrlPath>("v1", Err("write `/v1`"));
        check::<UrlPath>("/a?b", Err("write `/a`"));
        check::<UrlPath>("/a/*", Err("for everything below a path, write `path_prefix: /a/`"));
        check::<UrlPath>("/ä", Err("write them as `%XX`"));
    }

    #[test]
    fn a_method_is_in_capitals() {
        check::<Method>("PATCH", Ok("PATCH"));
        check::<Method>("get", Err("write `GET`"));
        check::<Method>("G T", Err("write `GET`, `POST`, `PUT`, …"));
    }
}

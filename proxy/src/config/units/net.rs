//! Where things are in a network: addresses, URLs and networks.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;

use crate::{
    config::{
        path::clip,
        units::{
            Fault,
            leaf::{Leaf, leaf_impls},
        },
    },
    model::{BackendAddress, ListenAddress},
};

/// An IP address and a port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address(pub(crate) SocketAddr);

/// Where clients connect: an IP address and a port, or a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listen(pub(crate) ListenAddress);

/// The URL of a backend: scheme, host and port, or a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// As written.
    pub(crate) text: String,
    pub(crate) address: BackendAddress,
}

/// A range of IP addresses; a single address is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network(pub(crate) IpNet);

leaf_impls!(Address, Listen, Url, Network);

impl Leaf for Address {
    const FORMAT: &'static str = "bascule-address";
    const WHAT: &'static str = "an address such as `127.0.0.1:8021`";
    const EXAMPLE: &'static str = "127.0.0.1:8021";

    fn parse(text: &str) -> Result<Self, Fault> {
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() == 0 => {
                let message = format!("`{text}` has port 0");
                Err(Fault::new(message, "write the port that clients connect to, 1 to 65535"))
            }
            Ok(address) => Ok(Self(address)),
            Err(_) => {
                let message = format!("`{}` is not an address to listen on", clip(text));
                Err(Fault::new(message, address_remedy(text)))
            }
        }
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

/// Longest name of a socket: what systemd has room for.
const SOCKET_NAME_MAX: usize = 255;

/// Reads the name of a socket that the service manager opens.
fn activated(name: &str) -> Result<Listen, Fault> {
    let is_name = name.bytes().all(|it| it.is_ascii_graphic() && it != b':' && it != b'/');
    if name.is_empty() || SOCKET_NAME_MAX < name.len() || !is_name {
        let message = format!("`{}` is not the name of a socket", clip(name));
        return Err(Fault::new(
            message,
            "write the socket unit's FileDescriptorName: `systemd:public`",
        ));
    }
    Ok(Listen(ListenAddress::Activated(name.to_owned())))
}

/// Longest path of a Unix socket: what Linux has room for.
const SOCKET_PATH_MAX: usize = 107;

impl Leaf for Listen {
    const FORMAT: &'static str = "bascule-listen";
    const WHAT: &'static str = "an address such as `127.0.0.1:8021`, `unix:/run/bascule.sock` or \
                                `systemd:public`";
    const EXAMPLE: &'static str = "127.0.0.1:8021";

    fn parse(text: &str) -> Result<Self, Fault> {
        if let Some(name) = text.strip_prefix("systemd:") {
            return activated(name);
        }
        let Some(path) = text.strip_prefix("unix:") else {
            return Address::parse(text).map(|it| Self(ListenAddress::Tcp(it.0)));
        };
        if !path.starts_with('/') || path.contains('\0') {
            let message = format!("`{}` is not the path of a socket", clip(path));
            return Err(Fault::new(message, "write a whole path: `unix:/run/bascule.sock`"));
        }
        if SOCKET_PATH_MAX < path.len() {
            let message = format!("the path has {} bytes; sockets have room for 107", path.len());
            return Err(Fault::new(message, "choose a shorter path"));
        }
        Ok(Self(ListenAddress::Unix(PathBuf::from(path))))
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

fn address_remedy(text: &str) -> String {
    let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    if let Ok(ip) = text.parse::<IpAddr>() {
        return format!("add the port: `{}`", SocketAddr::new(ip, 8021));
    }
    match (
        text.strip_prefix("localhost:"),
        text.strip_prefix(':').or(text.strip_prefix("*:")),
        port,
    ) {
        (Some(_), _, Some(port)) => format!("write the IP address: `127.0.0.1:{port}`"),
        (None, Some(_), Some(port)) => {
            format!(
                "write `0.0.0.0:{port}` for all addresses, `127.0.0.1:{port}` for this machine only"
            )
        }
        (_, _, Some(port)) if !text.contains(':') => {
            format!("add the IP address: `127.0.0.1:{port}`")
        }
        (_, _, _) => "write an IP address and a port: `127.0.0.1:8021`, `[::1]:8021`".to_owned(),
    }
}

impl Leaf for Url {
    const FORMAT: &'static str = "bascule-url";
    const WHAT: &'static str = "a URL such as `http://127.0.0.1:3001`";
    const EXAMPLE: &'static str = "http://192.0.2.1:9";

    fn parse(text: &str) -> Result<Self, Fault> {
        if let Some(path) = text.strip_prefix("unix:") {
            return parse_socket(path)
                .map(|path| Self { text: text.to_owned(), address: BackendAddress::Unix(path) });
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            let message = format!("`{}` is not a URL", clip(text));
            return Err(Fault::new(message, missing_scheme_remedy(text)));
        };
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => {
                let message = format!("the scheme `{}` is not supported", clip(scheme));
                return Err(Fault::new(message, "write `http://`, `https://` or `unix:`"));
            }
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            let message = "a user name or password in a URL would show in logs and metrics";
            return Err(Fault::new(message, "remove everything up to the `@`"));
        }
        if !matches!(path, "" | "/") {
            return Err(Fault::new(
                format!("`{}` after the host has no effect", clip(path)),
                format!(
                    "write `{scheme}://{}`; paths are changed by a route's `rewrite`",
                    clip(authority)
                ),
            ));
        }
        let address = parse_authority(authority, tls)?;
        Ok(Self { text: text.trim_end_matches('/').to_owned(), address })
    }

    fn write(&self) -> String {
        self.text.clone()
    }
}

fn missing_scheme_remedy(text: &str) -> String {
    let candidate = format!("http://{text}");
    match Url::parse(&candidate) {
        Ok(_) if !text.is_empty() => format!("write `{candidate}`"),
        Ok(_) | Err(_) => "write scheme, host and port: `http://127.0.0.1:3001`".to_owned(),
    }
}

/// Reads the path of a Unix socket, with or without the two slashes of an authority that is empty.
fn parse_socket(text: &str) -> Result<PathBuf, Fault> {
    let path = text.strip_prefix("//").unwrap_or(text);
    if !path.starts_with('/') || path.ends_with('/') || path.contains('\0') {
        let message = format!("`unix:{}` is not the absolute path of a socket", clip(text));
        return Err(Fault::new(message, "write all of its path: `unix:/run/app.sock`"));
    }
    if SOCKET_PATH_MAX < path.len() {
        let message = format!("the path has {} bytes", path.len());
        let remedy = format!("systems take up to {SOCKET_PATH_MAX}; move the socket");
        return Err(Fault::new(message, remedy));
    }
    Ok(PathBuf::from(path))
}

fn parse_authority(authority: &str, tls: bool) -> Result<BackendAddress, Fault> {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) if rest.is_empty() || rest.starts_with(':') => {
            (host, rest.strip_prefix(':'))
        }
        Some(_) => (authority, None),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let is_valid = if authority.starts_with('[') {
        host.parse::<Ipv6Addr>().is_ok()
    } else {
        is_host_name(host)
    };
    if !is_valid {
        let message = format!("`{}` is not a host", clip(authority));
        let remedy = "write a host name, an IPv4 address, or an IPv6 address in brackets: `[::1]`";
        return Err(Fault::new(message, remedy));
    }
    let port = match port {
        None => {
            if tls {
                443
            } else {
                80
            }
        }
        Some(port) => match port.parse::<u16>() {
            Ok(number) if number != 0 && port.bytes().all(|it| it.is_ascii_digit()) => number,
            Ok(_) | Err(_) => {
                let message = format!("`{}` is not a port", clip(port));
                return Err(Fault::new(message, "write 1 to 65535"));
            }
        },
    };
    Ok(BackendAddress::Tcp { tls, host: host.to_ascii_lowercase(), port })
}

/// Returns whether `text` is a DNS name or an IPv4 address.
pub(crate) fn is_host_name(text: &str) -> bool {
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(is_plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A name whose last part is a number is an address, and must then be a valid one.
    let ends_in_number = text
        .rsplit('.')
        .next()
        .is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()));
    let is_name = text.len() <= 253 && text.split('.').all(is_label);
    is_name && (!ends_in_number || text.parse::<Ipv4Addr>().is_ok())
}

impl Leaf for Network {
    const FORMAT: &'static str = "bascule-network";
    const WHAT: &'static str = "a network such as `10.0.0.0/8`";
    const EXAMPLE: &'static str = "10.0.0.0/8";

    fn parse(text: &str) -> Result<Self, Fault> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(IpNet::from(address)));
        }
        match text.parse::<IpNet>() {
            Ok(network) if network.trunc() == network => Ok(Self(network)),
            Ok(network) => Err(Fault::new(
                format!("`{text}` names an address inside a network"),
                format!("write the network: `{}`", network.trunc()),
            )),
            Err(_) => Err(Fault::new(
                format!("`{}` is not a network", clip(text)),
                "write an address and the length of its prefix: `10.0.0.0/8`",
            )),
        }
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` is where the URL leads, or the remedy.
    fn check(url: &str, expected: Result<&str, &str>) {
        let found = Url::parse(url).map(|it| it.address.to_string()).map_err(|fault| fault.remedy);
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{url}");
    }

    #[test]
    fn a_url_is_scheme_host_and_port() {
        check("http://127.0.0.1:3001", Ok("http://127.0.0.1:3001"));
        check("HTTP://Api.Example.com/", Ok("http://api.example.com:80"));
        check("https://backend_1", Ok("https://backend_1:443"));
        check("http://[::1]:3001", Ok("http://[::1]:3001"));
        check("http://[::1]", Ok("http://[::1]:80"));
    }

    #[test]
    fn a_url_with_more_or_less_is_refused() {
        check("localhost:3001", Err("write `http://localhost:3001`"));
        check("http://a/b", Err("write `http://a`; paths are changed by a route's `rewrite`"));
        check("http://u:p@a", Err("remove everything up to the `@`"));
        for port in ["http://a:", "http://a:0", "http://a:65536", "http://a:+1", "http://a:x"] {
            check(port, Err("write 1 to 65535"));
        }
        let hosts =
            ["", "-a", "a..b", "300.1.1.1", "1.2.3", "[::1", "::1", "[zz]", "a b", "ä", "[::1]x"];
        for host in hosts {
            assert!(Url::parse(&format!("http://{host}")).is_err(), "{host}");
        }
    }

    #[test]
    fn a_unix_socket_is_named_by_its_whole_path() {
        check("unix:/run/app.sock", Ok("unix:/run/app.sock"));
        check("unix:///run/app.sock", Ok("unix:/run/app.sock"));
        for bad in ["unix:", "unix:app.sock", "unix://app.sock", "unix:/run/", "unix:./a"] {
            check(bad, Err("write all of its path: `unix:/run/app.sock`"));
        }
        let long = format!("unix:/{}", "a".repeat(107));
        check(&long, Err("systems take up to 107; move the socket"));
    }

    #[test]
    fn a_network_is_written_by_its_first_address() {
        let written = |text: &str| Network::parse(text).map(|it| it.write());
        assert_eq!(written("10.0.0.0/8").unwrap(), "10.0.0.0/8");
        assert_eq!(written("10.0.0.1").unwrap(), "10.0.0.1/32");
        assert_eq!(written("10.0.0.1/8").unwrap_err().remedy, "write the network: `10.0.0.0/8`");
        assert!(written("10.0.0.0/33").is_err());
    }

    #[test]
    fn an_address_to_listen_on_is_complete() {
        let remedy = |text: &str| Address::parse(text).unwrap_err().remedy;
        assert_eq!(remedy("8021"), "add the IP address: `127.0.0.1:8021`");
        assert_eq!(remedy("::1"), "add the port: `[::1]:8021`");
        assert_eq!(remedy("localhost:80"), "write the IP address: `127.0.0.1:80`");
        assert!(remedy("*:80").starts_with("write `0.0.0.0:80`"));
    }
}

//! The hosts and domains that routes name, looked up while a request's host is read from its end.

use std::net::Ipv6Addr;

use crate::{
    model::HostMatch,
    routing::{
        host,
        index::table::{Hash, Table},
    },
};

/// What a route may name, each in one spelling alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Named {
    /// This host. Lower case.
    Host(String),
    /// This host, which is an address with more than one spelling.
    Address(Ipv6Addr),
    /// All hosts below this one. Lower case.
    Below(String),
}

impl Named {
    /// Returns what is named by a condition.
    pub(crate) fn by(wanted: &HostMatch) -> Self {
        match wanted {
            HostMatch::Exact(name) => {
                let name = host::name_of(name);
                name.parse().map_or_else(|_| Self::Host(name.to_ascii_lowercase()), Self::Address)
            }
            HostMatch::Below(domain) => Self::Below(domain.to_ascii_lowercase()),
        }
    }
}

/// Something about each host and each domain, and about any host.
#[derive(Debug)]
pub(crate) struct Hosts<T> {
    any: T,
    hosts: Texts<T>,
    /// Ascending.
    addresses: Vec<(Ipv6Addr, T)>,
    domains: Texts<T>,
    /// By domain: the next shorter one that all hosts below it are below, too.
    wider: Vec<Option<usize>>,
}

/// What is known of some texts.
#[derive(Debug)]
struct Texts<T> {
    known: Vec<(String, T)>,
    table: Table,
    /// Length of the longest text, in bytes.
    longest: usize,
}

/// What was found of a host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a, T> {
    hosts: &'a Hosts<T>,
    /// Of the host itself.
    exact: Option<&'a T>,
    /// The longest domain that it is below.
    domain: Option<usize>,
}

impl<T> Hosts<T> {
    /// Makes tables of what is about any host, and about `named` ones.
    pub(crate) fn new(any: T, named: impl Iterator<Item = (Named, T)>) -> Self {
        let (mut hosts, mut addresses, mut domains) = (Vec::new(), Vec::new(), Vec::new());
        for (named, it) in named {
            match named {
                Named::Host(name) => hosts.push((name, it)),
                Named::Address(address) => addresses.push((address, it)),
                Named::Below(domain) => domains.push((domain, it)),
            }
        }
        addresses.sort_by_key(|(address, _)| *address);
        let domains = Texts::new(domains);
        let wider = domains.known.iter().map(|(domain, _)| domains.domain_of(domain)).collect();
        Self { any, hosts: Texts::new(hosts), addresses, domains, wider }
    }

    /// Looks up a `Host` header's value, as sent.
    pub(crate) fn find(&self, sent: Option<&str>) -> Found<'_, T> {
        let Some(name) = sent.map(host::name_of).filter(|name| !name.is_empty()) else {
            return Found { hosts: self, exact: None, domain: None };
        };
        let address = if self.addresses.is_empty() { None } else { self.of_address(name) };
        let (domain, exact) = (self.domains.domain_of(name), self.hosts.exactly(name));
        Found { hosts: self, exact: exact.or(address), domain }
    }

    fn of_address(&self, name: &str) -> Option<&T> {
        // As everywhere, the colon spares all others the parsing.
        let address: Ipv6Addr = name.contains(':').then(|| name.parse().ok())??;
        let at = self.addresses.binary_search_by_key(&address, |(address, _)| *address).ok()?;
        self.addresses.get(at).map(|(_, it)| it)
    }
}

impl<'a, T> Found<'a, T> {
    /// Returns what there is about the host, widest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'a T> {
        let Self { hosts, exact, domain } = *self;
        let domains = std::iter::successors(domain, |&it| hosts.wider[it]);
        let domains = domains.map(|it| &hosts.domains.known[it].1);
        std::iter::once(&hosts.any).chain(exact).chain(domains)
    }
}

impl<T> Texts<T> {
    fn new(known: Vec<(String, T)>) -> Self {
        let hash = |text: &String| Hash::of(text.bytes().rev());
        let hashes: Vec<Hash> = known.iter().map(|(text, _)| hash(text)).collect();
        let longest = known.iter().map(|(text, _)| text.len()).max().unwrap_or(0);
        Self { known, table: Table::new(&hashes), longest }
    }

    /// Returns what is known of a text, in any case.
    fn exactly(&self, text: &str) -> Option<&T> {
        if self.longest < text.len() {
            return None;
        }
        let hash = Hash::of(text.bytes().rev().map(|byte| byte.to_ascii_lowercase()));
        let number = self.find(hash, text)?;
        self.known.get(number).map(|(_, it)| it)
    }

    /// Returns the number of the longest of these domains that `name` is below.
    fn domain_of(&self, name: &str) -> Option<usize> {
        let (mut hash, mut longest) = (Hash::default(), None);
        for (at, byte) in name.bytes().enumerate().rev() {
            let length = name.len() - at - 1;
            if self.longest < length {
                break;
            }
            if byte == b'.'
                && let Some(found) = self.find(hash, &name[at + 1..])
            {
                longest = Some(found);
            }
            hash.eat(byte.to_ascii_lowercase());
        }
        // What is no label before the longest is none before a shorter one either.
        longest.filter(|&it| host::is_below(&self.known[it].0, name))
    }

    fn find(&self, hash: Hash, text: &str) -> Option<usize> {
        self.table.find(hash, |number| self.known[number].0.eq_ignore_ascii_case(text))
    }
}

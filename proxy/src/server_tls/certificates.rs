//! Certificates towards clients: read from files, chosen by the host that a client names, read again
//! when the files change.

#![expect(clippy::wildcard_enum_match_arm, reason = "names in certificates are of many kinds")]

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::{
    files::{Mark, mark},
    model::CertificateFiles,
};

/// Files that are no certificate and its key, with what is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A file cannot be read.
    #[error("{}: {error}; check the path, and that this user may read it", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A file holds something else.
    #[error("{}: {what}; write PEM, as certificate authorities give it", path.display())]
    NoPem {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The certificate and the key are not for each other, or of a kind that is not supported.
    #[error("{} and {}: {error}; check that they belong together", cert.display(), key.display())]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's.
        key: PathBuf,
        /// In the library's words.
        error: rustls::Error,
    },
}

/// The certificates of one listener.
#[derive(Debug)]
pub(crate) struct Certificates {
    files: Vec<CertificateFiles>,
    provider: Arc<CryptoProvider>,
    loaded: ArcSwap<Loaded>,
}

/// What was read last.
#[derive(Debug)]
struct Loaded {
    keys: Vec<Arc<CertifiedKey>>,
    /// In seconds of Unix time, for each key.
    expiries: Vec<i64>,
    /// From names in lower case, and from what follows the first label of names with a wildcard, to
    /// the index of the first key that bears it.
    names: BTreeMap<String, usize>,
    wildcards: BTreeMap<String, usize>,
    /// Of the files, in their order.
    marks: Vec<Mark>,
}

impl Certificates {
    /// Reads the files.
    pub(crate) fn load(
        files: Vec<CertificateFiles>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Unusable> {
        let loaded = Loaded::read(&files, &provider)?;
        Ok(Self { files, provider, loaded: ArcSwap::from_pointee(loaded) })
    }

    /// Reads the files again if one has changed. Returns whether one had. What cannot be used
    /// changes nothing: a file may be half written.
    pub(crate) fn refresh(&self) -> Result<bool, Unusable> {
        if marks(&self.files) == self.loaded.load().marks {
            return Ok(false);
        }
        self.loaded.store(Arc::new(Loaded::read(&self.files, &self.provider)?));
        Ok(true)
    }

    /// Returns when each certificate expires, in seconds of Unix time, in the order of the
    /// configuration.
    pub(crate) fn expiries(&self) -> Vec<i64> {
        self.loaded.load().expiries.clone()
    }

    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let loaded = self.loaded.load();
        let named = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let parent = name.split_once('.').map(|(_, parent)| parent);
            let wildcard = || parent.and_then(|it| loaded.wildcards.get(it));
            loaded.names.get(&name).or_else(wildcard).copied()
        });
        loaded.keys.get(named.unwrap_or(0)).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name())
    }
}

impl Loaded {
    fn read(files: &[CertificateFiles], provider: &CryptoProvider) -> Result<Self, Unusable> {
        // Before the contents: a change in between is found the next time.
        let marks = marks(files);
        let mut loaded = Self {
            keys: Vec::new(),
            expiries: Vec::new(),
            names: BTreeMap::new(),
            wildcards: BTreeMap::new(),
            marks,
        };
        for (index, files) in files.iter().enumerate() {
            let chain = chain(&files.cert)?;
            let key = private_key(&files.key)?;
            let (names, expiry) = describe(&chain[0]).ok_or_else(|| Unusable::NoPem {
                path: files.cert.clone(),
                what: "the certificate cannot be read",
            })?;
            let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| {
                let (cert, key) = (files.cert.clone(), files.key.clone());
                Unusable::Mismatch { cert, key, error }
            })?;
            for name in names {
                match name.strip_prefix("*.") {
                    Some(parent) => loaded.wildcards.entry(parent.to_owned()).or_insert(index),
                    None => loaded.names.entry(name).or_insert(index),
                };
            }
            loaded.keys.push(Arc::new(certified));
            loaded.expiries.push(expiry);
        }
        Ok(loaded)
    }
}

/// Reads the certificates in a PEM file, at least one.
pub(crate) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let text = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => {
            let path = path.to_owned();
            Err(Unusable::NoPem { path, what: "there is no certificate in it" })
        }
        Err(_) => Err(Unusable::NoPem { path: path.to_owned(), what: "it is not well-formed PEM" }),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Unusable> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|_| Unusable::NoPem {
        path: path.to_owned(),
        what: "there is no private key in it",
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Unusable> {
    fs::read(path).map_err(|error| Unusable::Unreadable { path: path.to_owned(), error })
}

/// Returns the names that a certificate bears, in lower case, and when it expires.
fn describe(certificate: &[u8]) -> Option<(Vec<String>, i64)> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let alternatives = parsed.subject_alternative_name().ok()?;
    let names = alternatives.iter().flat_map(|it| &it.value.general_names);
    let names = names.filter_map(|it| match it {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    Some((names.collect(), parsed.validity().not_after.timestamp()))
}

/// Returns the names that a client's certificate bears: DNS names, URIs and e-mail addresses; of one
/// without any, the common names.
pub(crate) fn names(certificate: &[u8]) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let alternatives = parsed.subject_alternative_name().ok().flatten();
    let names: Vec<String> = alternatives
        .iter()
        .flat_map(|it| &it.value.general_names)
        .filter_map(|it| match it {
            GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => {
                Some((*name).to_owned())
            }
            _ => None,
        })
        .collect();
    if !names.is_empty() {
        return names;
    }
    let subject = parsed.subject().iter_common_name();
    subject.filter_map(|it| it.as_str().ok()).map(str::to_owned).collect()
}

/// Tells of a client's certificate in a header's words, as Envoy does in `X-Forwarded-Client-Cert`.
pub(crate) fn forwarded(certificate: &CertificateDer<'_>) -> String {
    use std::fmt::Write as _;

    let mut text = String::from("Hash=");
    for byte in pingora_rustls::hash_certificate(certificate) {
        // Writing to a String does not fail.
        _ = write!(text, "{byte:02x}");
    }
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return text };
    _ = write!(text, ";Subject=\"{}\"", quoted(&parsed.subject().to_string()));
    let Ok(Some(alternatives)) = parsed.subject_alternative_name() else { return text };
    for name in &alternatives.value.general_names {
        match name {
            GeneralName::DNSName(name) => _ = write!(text, ";DNS=\"{}\"", quoted(name)),
            GeneralName::URI(uri) => _ = write!(text, ";URI=\"{}\"", quoted(uri)),
            _ => {}
        }
    }
    text
}

/// Makes a text fit between quotes in a header: whoever signs certificates chooses it.
fn quoted(text: &str) -> String {
    let plain = |it: char| if it == ' ' || it.is_ascii_graphic() { it } else { '?' };
    text.chars().map(plain).collect::<String>().replace('\\', "\\\\").replace('"', "\\\"")
}

fn marks(files: &[CertificateFiles]) -> Vec<Mark> {
    files.iter().flat_map(|it| [mark(&it.cert), mark(&it.key)]).collect()
}

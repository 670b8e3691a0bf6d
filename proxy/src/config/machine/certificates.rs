//! Are certificates and keys there, do they belong together, and are they good today?

use std::{
    fs::File as OpenFile,
    io::Read,
    path::Path as FilePath,
    time::{SystemTime, UNIX_EPOCH},
};

use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::{
    file::{File, listener::Tls},
    machine::secrets,
    path::Path,
    problem::Code,
    units::{FilePath as Written, leaf::Leaf as _},
    validate::Review,
};

/// Longer than every bundle of certificates that systems come with.
const LONGEST: u64 = 4 << 20;

/// In seconds: whoever renews by hand needs some days, and automatic renewal has failed by then.
const SOON: i64 = 14 * 24 * 60 * 60;

pub(crate) fn look(file: &File, review: &mut Review<'_>) {
    for (name, listener) in &file.listeners.0 {
        let path = Path::default().key("listeners").key(&name.0).key("tls");
        listeners(listener.tls.as_ref(), &path, review);
    }
    listeners(file.admin.tls.as_ref(), &Path::default().key("admin").key("tls"), review);
    for (name, pool) in &file.pools.0 {
        let path = Path::default().key("pools").key(&name.0).key("tls");
        if !pool.backends.iter().any(|it| it.url.address.is_tls()) {
            continue;
        }
        if let Some(ca) = &pool.tls.ca {
            chain(ca, &path.key("ca"), review);
        }
        if let (Some(cert), Some(key)) = (&pool.tls.cert, &pool.tls.key) {
            identity(cert, key, &path, review);
        }
    }
}

/// Looks at what is shown to clients, and at what clients are judged by.
fn listeners(tls: Option<&Tls>, path: &Path, review: &mut Review<'_>) {
    let Some(tls) = tls else { return };
    for (index, pair) in tls.certificates.iter().enumerate() {
        let path = path.key("certificates").item(index);
        identity(&pair.cert, &pair.key, &path, review);
    }
    if let Some(clients) = &tls.client_auth {
        chain(&clients.ca, &path.key("client_auth").key("ca"), review);
    }
}

/// Looks at a certificate, its key, and whether they are each other's.
fn identity(cert: &Written, key: &Written, path: &Path, review: &mut Review<'_>) {
    let (cert_path, key_path) = (path.key("cert"), path.key("key"));
    let chain = chain(cert, &cert_path, review);
    let key = private_key(key, &key_path, review);
    let (Some(chain), Some(key)) = (chain, key) else { return };
    if let Err(error) = CertifiedKey::from_der(chain, key, &ring::default_provider()) {
        let message = format!("the key does not fit `cert` ({}): {error}", cert.write());
        let remedy = "name two that were made together, the server's own certificate first";
        review.report(Code::KeyMismatch, &key_path, message, remedy);
    }
}

/// Reads certificates and looks at the first one's dates.
fn chain(
    file: &Written,
    path: &Path,
    review: &mut Review<'_>,
) -> Option<Vec<CertificateDer<'static>>> {
    let text = read(&file.0, path, review)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.ok().filter(|it| !it.is_empty());
    let Some(first) = chain.as_ref().and_then(|it| it.first()) else {
        let message = format!("{} holds no certificate in PEM", file.write());
        let remedy = "it must have one between BEGIN CERTIFICATE and END CERTIFICATE";
        review.report(Code::BadCertificate, path, message, remedy);
        return None;
    };
    let Ok((_, certificate)) = X509Certificate::from_der(first) else {
        let message = format!("the certificate in {} is damaged", file.write());
        review.report(Code::BadCertificate, path, message, "get it anew from whoever issued it");
        return None;
    };
    let validity = certificate.validity();
    dates(validity.not_before.timestamp(), validity.not_after.timestamp(), path, review);
    chain
}

fn dates(not_before: i64, not_after: i64, path: &Path, review: &mut Review<'_>) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let days = |seconds: i64| {
        let days = seconds / (24 * 60 * 60);
        if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
    };
    if not_after < now {
        let message = format!("the certificate expired {} ago", days(now - not_after));
        review.report(Code::Expired, path, message, "renew it");
    } else if now < not_before {
        let message =
            format!("the certificate is not valid before {} from now", days(not_before - now));
        review.report(Code::Expired, path, message, "look at the clock of this machine");
    } else if not_after < now + SOON {
        let message = format!("the certificate expires in {}", days(not_after - now));
        let remedy = "renew it; changed files are read again within seconds";
        review.report(Code::ExpiresSoon, path, message, remedy);
    }
}

fn private_key(
    file: &Written,
    path: &Path,
    review: &mut Review<'_>,
) -> Option<PrivateKeyDer<'static>> {
    let text = read(&file.0, path, review)?;
    secrets::permissions(&file.0, path, review);
    if let Ok(key) = PrivateKeyDer::from_pem_slice(&text) {
        return Some(key);
    }
    let message = format!("{} holds no private key in PEM", file.write());
    let remedy =
        "it must have one between BEGIN PRIVATE KEY and END PRIVATE KEY, without a pass phrase";
    review.report(Code::BadCertificate, path, message, remedy);
    None
}

/// Reads a file that the value at `path` names; what prevents that is reported.
fn read(file: &FilePath, path: &Path, review: &mut Review<'_>) -> Option<Vec<u8>> {
    if !review.is_sound(&[path]) {
        return None;
    }
    let mut bytes = Vec::new();
    let read = OpenFile::open(file).and_then(|it| it.take(LONGEST).read_to_end(&mut bytes));
    match read {
        Ok(_) => Some(bytes),
        Err(error) => {
            let message = format!("cannot read {}: {error}", file.display());
            let remedy = "check the path, and that the proxy's user may read it; a relative path \
                          starts at the folder of the configuration";
            review.report(Code::UnreadableFile, path, message, remedy);
            None
        }
    }
}

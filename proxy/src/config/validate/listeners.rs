//! Rules about what clients may do, and who is believed.

use crate::{
    config::{
        file::{
            File,
            listener::{Listener, ProxyProtocol},
        },
        path::Path,
        problem::Code,
        units::{leaf::Leaf as _, size::Size},
        validate::Review,
    },
    model::ListenAddress,
};

/// Longest head that can be allowed: what is behind reads no longer ones.
const HEAD_MAX: Size = Size::kibibytes(512);
/// Shortest head that makes sense: browsers send a few kilobytes.
const HEAD_MIN: Size = Size::kibibytes(1);

pub(crate) fn review(file: &File, review: &mut Review<'_>) {
    for (name, listener) in &file.listeners.0 {
        let path = Path::default().key("listeners").key(&name.0);
        believed(listener, &path, review);
        bounds(listener, &path.key("limits"), review);
    }
}

/// A PROXY header that nobody is believed in is a mistake: either no client would be known by its
/// own address, or none would be served.
fn believed(listener: &Listener, path: &Path, review: &mut Review<'_>) {
    let (protocol, trusted) = (path.key("proxy_protocol"), path.key("trusted_proxies"));
    let is_tcp = matches!(listener.address.0, ListenAddress::Tcp(_));
    if listener.proxy_protocol != ProxyProtocol::None
        && is_tcp
        && listener.trusted_proxies.is_empty()
        && review.is_sound(&[&protocol, &trusted])
    {
        review.report(
            Code::Contradiction,
            &protocol,
            "PROXY headers are believed of `trusted_proxies` only, and there are none",
            "list the networks of the proxies in front of this one in `trusted_proxies`",
        );
    }
}

fn bounds(listener: &Listener, path: &Path, review: &mut Review<'_>) {
    let (limits, head) = (&listener.limits, path.key("head"));
    if !(HEAD_MIN..=HEAD_MAX).contains(&limits.head) && review.is_sound(&[&head]) {
        let message = format!("`{}` is no useful bound on a request's head", limits.head.write());
        let remedy = format!("write {} to {}", HEAD_MIN.write(), HEAD_MAX.write());
        review.report(Code::Contradiction, &head, message, remedy);
    }
    review.ordered(path, ("target", &limits.target), ("head", &limits.head), "larger");
}

//! The part of a configuration file that keeps requests which belong together at one backend.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::{FilePath, Name, duration::Length, number::Factor};

/// What requests have in common that go to the same backend. Needs exactly one of its keys. Every
/// proxy with the same backends and weights sends a key to the same one. While that cannot be picked,
/// its keys, and no others, go elsewhere. A request without the key goes to the less busy of two.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hash {
    /// `true`: the client's address. A proxy in `trusted_proxies` is believed whom it speaks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_address: Option<bool>,
    /// The name of a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) header: Option<Name>,
    /// The name of a cookie that the application sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cookie: Option<Name>,
    /// `true`: the path as the client sent it, without the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<bool>,
    /// The most requests that a backend may have under way, as a multiple of what its weight is due of
    /// all that are: beyond it, a key's request goes to the next backend in the key's order. For a few
    /// keys that are asked for much more than others. Without it, keys stay together however busy
    /// their backend is: what is usually hashed for, and with few requests at a time any bound moves
    /// some needlessly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bound: Option<Factor>,
}

/// How a client is kept at one backend. The cookie is signed, says nothing of who the backends are,
/// is never seen by scripts (`HttpOnly`) or by backends, and is replaced when it is not ours, has
/// expired or names a backend that is not eligible. While its backend is suspected, requests go
/// elsewhere and the cookie stays.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sticky {
    /// The cookie's name.
    #[serde(default = "Sticky::default_cookie")]
    pub(crate) cookie: Name,
    /// How long a cookie is good. It is renewed in the second half of that.
    #[serde(default = "Sticky::default_ttl")]
    pub(crate) ttl: Length,
    /// Whether browsers send the cookie over HTTPS only. Say so wherever clients come by HTTPS.
    #[serde(default)]
    pub(crate) secure: bool,
    /// With which requests from other sites browsers send the cookie.
    #[serde(default)]
    pub(crate) same_site: SameSite,
    /// The file with the secret that signs cookies, as `bascule token new` makes it. A relative path
    /// starts at the folder of this file. Without a secret, one is made at each start: then cookies
    /// do not outlive the process, and other proxies do not know them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret_file: Option<FilePath>,
    /// The variable of the environment that holds that secret. Not together with `secret_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret_env: Option<Name>,
}

impl Sticky {
    pub(crate) fn default_cookie() -> Name {
        Name("bascule".to_owned())
    }

    pub(crate) fn default_ttl() -> Length {
        Length::seconds(3600)
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SameSite {
    /// With none.
    Strict,
    /// With those that follow a link.
    #[default]
    Lax,
    /// With all; needs `secure: true`.
    None,
}

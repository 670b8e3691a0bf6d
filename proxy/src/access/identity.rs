//! Who asks, as far as it can be known, and what they may do.

use crate::{
    model::{NamedCertificate, Role},
    token::TokenHash,
};

/// Who asks, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// By what they are known.
    pub kind: Kind,
    /// What the configuration calls them, where it does.
    pub name: Option<String>,
    /// What they may do; `None`: no more than greet.
    pub role: Option<Role>,
}

/// By what somebody is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A token, or a ticket that was given for one.
    Token,
    /// A client's certificate, or a ticket that was given for one.
    Certificate,
    /// Being on this machine.
    Local,
    /// Nothing.
    Anonymous,
}

impl Kind {
    /// Returns the word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Certificate => "certificate",
            Self::Local => "local",
            Self::Anonymous => "anonymous",
        }
    }
}

/// A token that somebody may show.
#[derive(Clone, Debug)]
pub struct KnownToken {
    /// What the audit trail calls whoever shows it.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// What it is known by; `None` while that cannot be read: then nobody can show it.
    pub hash: Option<TokenHash>,
}

/// Returns whose token is shown. All are compared, each in full, so that the time it takes tells
/// nothing of any.
pub(crate) fn holder<'t>(tokens: &'t [KnownToken], shown: &[u8]) -> Option<&'t KnownToken> {
    let shown = TokenHash::of(shown);
    let mut found = None;
    for token in tokens {
        let is_it = token.hash.as_ref().is_some_and(|hash| hash.is_same(&shown));
        if is_it && found.is_none() {
            found = Some(token);
        }
    }
    found
}

/// Returns whose certificate it is that bears `names`. DNS names are compared without regard to case.
pub(crate) fn bearer<'c>(
    certificates: &'c [NamedCertificate],
    names: &[String],
) -> Option<&'c NamedCertificate> {
    let is_borne = |wanted: &str| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
    certificates.iter().find(|it| is_borne(&it.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str, token: Option<&str>) -> KnownToken {
        let hash = token.map(|it| TokenHash::of(it.as_bytes()));
        KnownToken { name: name.to_owned(), role: Role::Viewer, hash }
    }

    #[test]
    fn a_token_is_its_holders_and_nobody_elses() {
        let tokens = [known("gone", None), known("a", Some("first")), known("b", Some("second"))];
        let name = |shown: &str| holder(&tokens, shown.as_bytes()).map(|it| it.name.as_str());
        assert_eq!(name("first"), Some("a"));
        assert_eq!(name("second"), Some("b"));
        for shown in ["", "firs", "firstt", "third"] {
            assert_eq!(name(shown), None, "{shown}");
        }
        // The hash is not the token.
        assert_eq!(name(&TokenHash::of(b"first").to_string()), None);
    }

    #[test]
    fn of_several_names_the_first_that_is_configured_counts() {
        let of = |name: &str, role| NamedCertificate { name: name.to_owned(), role };
        let certificates = [of("ops.example.com", Role::Operator), of("*", Role::Viewer)];
        let found = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
            bearer(&certificates, &names).map(|it| it.name.as_str())
        };
        assert_eq!(found(&["x.example.com", "OPS.example.com"]), Some("ops.example.com"));
        assert_eq!(found(&["x.example.com"]), None);
        assert_eq!(found(&[]), None);
        assert_eq!(found(&["*"]), Some("*"));
    }
}

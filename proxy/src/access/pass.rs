//! What somebody was let in by who stays: does it still hold?

use crate::{
    access::{Identity, Kind, Rules},
    model::Role,
    token::TokenHash,
};

/// What somebody was let in by, to be looked at again for as long as they stay.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Who it is.
    pub identity: Identity,
    /// Of tokens: what it is known by. Under the same name there may be another one later.
    hash: Option<TokenHash>,
}

impl Pass {
    /// Makes one for `identity`, who by `rules` has just been let read.
    pub fn new(identity: Identity, rules: &Rules<'_>) -> Self {
        let is_token = identity.kind == Kind::Token;
        let mut known = rules.tokens.iter().filter(|_| is_token);
        let hash = known.find(|it| Some(&it.name) == identity.name.as_ref()).and_then(|it| it.hash);
        Self { identity, hash }
    }

    /// Tells whether the same would be let read again.
    pub fn holds(&self, rules: &Rules<'_>) -> bool {
        let is_called = |name: &String| Some(name) == self.identity.name.as_ref();
        let role = match self.identity.kind {
            Kind::Token => rules.tokens.iter().find(|it| is_called(&it.name)).and_then(|it| {
                let is_same = self.hash.zip(it.hash).is_some_and(|(was, is)| was.is_same(&is));
                is_same.then_some(it.role)
            }),
            Kind::Certificate => {
                rules.certificates.iter().find(|it| is_called(&it.name)).map(|it| it.role)
            }
            Kind::Local => rules.local,
            Kind::Anonymous => rules.anonymous,
        };
        Some(Role::Viewer) <= role
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{KnownToken, tests::NONE},
        model::NamedCertificate,
    };

    fn token(name: &str, role: Role, token: Option<&str>) -> KnownToken {
        let hash = token.map(|it| TokenHash::of(it.as_bytes()));
        KnownToken { name: name.to_owned(), role, hash }
    }

    fn rules<'r>(
        tokens: &'r [KnownToken],
        certificates: &'r [NamedCertificate],
        place: Option<Role>,
    ) -> Rules<'r> {
        Rules { anonymous: place, local: place, tokens, certificates, ..NONE }
    }

    fn known(kind: Kind, name: Option<&str>) -> Identity {
        Identity { kind, name: name.map(str::to_owned), role: Some(Role::Viewer) }
    }

    #[test]
    fn a_token_holds_until_it_is_another() {
        let now = [token("ci", Role::Viewer, Some("one"))];
        let pass = |name| Pass::new(known(Kind::Token, Some(name)), &rules(&now, &[], None));
        let holds = |pass: &Pass, tokens: &[KnownToken]| pass.holds(&rules(tokens, &[], None));
        let ci = pass("ci");
        assert!(holds(&ci, &now));
        assert!(holds(&ci, &[token("ci", Role::Operator, Some("one"))]), "it may more");
        assert!(!holds(&ci, &[]), "it is gone");
        assert!(!holds(&ci, &[token("ci", Role::Viewer, Some("other"))]), "it was replaced");
        assert!(!holds(&ci, &[token("ci", Role::Viewer, None)]), "it cannot be read");
        assert!(!holds(&ci, &[token("other", Role::Viewer, Some("one"))]), "it is another's");
        assert!(!holds(&pass("unknown"), &now));
    }

    #[test]
    fn certificates_and_places_hold_as_long_as_the_configuration_says_so() {
        let certificates = [NamedCertificate { name: "ops".to_owned(), role: Role::Viewer }];
        let is_held = |kind, name, certificates: &[NamedCertificate], place| {
            let given = rules(&[], certificates, Some(Role::Viewer));
            let pass = Pass::new(known(kind, name), &given);
            pass.holds(&rules(&[], certificates, place))
        };
        assert!(is_held(Kind::Certificate, Some("ops"), &certificates, None));
        assert!(!is_held(Kind::Certificate, Some("ops"), &[], None));
        for kind in [Kind::Local, Kind::Anonymous] {
            assert!(is_held(kind, None, &[], Some(Role::Viewer)));
            assert!(!is_held(kind, None, &[], None));
        }
    }
}

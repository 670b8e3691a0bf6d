//! The tokens that callers may show, as files and the environment have them at this moment.
//!
//! Files are looked at whenever a token is shown: from the moment in which one changes, the old token
//! is worth nothing. A file that cannot be used closes its door and no other; it is said once.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use arc_swap::ArcSwap;

use crate::{
    access::KnownToken,
    clock,
    model::{Admin, HashSource, Role},
    telemetry::logging::AUDIT,
    token::{self, TokenError, TokenHash},
};

/// What the audit trail calls whoever shows the token of `token_file`.
const NAMELESS: &str = "operator";
/// A file that was written just before it was read may be written again without its time changing:
/// systems count in steps of some milliseconds, some in seconds.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// The tokens, and where they are from.
#[derive(Debug)]
pub(crate) struct Keyring(ArcSwap<Loaded>);

/// Tokens, as they were read.
#[derive(Debug)]
pub(crate) struct Loaded {
    sources: Vec<Source>,
    tokens: Arc<[KnownToken]>,
    /// Of the files, in their order.
    marks: Vec<Mark>,
    /// Whether a change of any file would change its mark.
    is_settled: bool,
}

#[derive(Clone, Debug)]
struct Source {
    name: String,
    role: Role,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    /// A file with the token itself.
    Token(PathBuf),
    /// A file with its hash.
    Hash(PathBuf),
    /// A variable with its hash.
    Environment(String),
    /// Given, and fixed.
    Given(TokenHash),
}

/// By what a changed file is recognised.
type Mark = Option<(Duration, u64, u64)>;

impl Keyring {
    /// Makes one of what has been read.
    pub(crate) fn new(loaded: Loaded) -> Self {
        Self(ArcSwap::from_pointee(loaded))
    }

    /// Makes one of tokens that are known already.
    pub(crate) fn of(tokens: Vec<KnownToken>) -> Self {
        let source = |it: &KnownToken| {
            let place = Place::Given(it.hash?);
            Some(Source { name: it.name.clone(), role: it.role, place })
        };
        let sources = tokens.iter().filter_map(source).collect();
        let loaded = Loaded { sources, tokens: tokens.into(), marks: Vec::new(), is_settled: true };
        Self(ArcSwap::from_pointee(loaded))
    }

    /// Puts what has been read in place of what was known.
    pub(crate) fn replace(&self, loaded: Loaded) {
        self.0.store(Arc::new(loaded));
    }

    /// Returns the tokens that may be shown now.
    pub(crate) fn tokens(&self) -> Arc<[KnownToken]> {
        let loaded = self.0.load();
        let is_current =
            loaded.is_settled && loaded.sources.iter().map(mark).eq(loaded.marks.iter().copied());
        if is_current {
            return Arc::clone(&loaded.tokens);
        }
        let fresh = Arc::new(loaded.reread());
        self.0.store(Arc::clone(&fresh));
        Arc::clone(&fresh.tokens)
    }
}

impl Loaded {
    /// Reads every token that `admin` names.
    pub(crate) fn of(admin: &Admin) -> Result<Self, TokenError> {
        let sources = sources(admin);
        let (marks, is_settled) = look(&sources);
        let known = |it: &Source| {
            Ok(KnownToken { name: it.name.clone(), role: it.role, hash: Some(hash_of(&it.place)?) })
        };
        let tokens: Result<Vec<_>, TokenError> = sources.iter().map(known).collect();
        Ok(Self { tokens: tokens?.into(), sources, marks, is_settled })
    }

    /// Reads what is there.
    fn reread(&self) -> Self {
        // Before the contents: a change in between is found the next time.
        let (marks, is_settled) = look(&self.sources);
        let mut tokens = Vec::new();
        for (source, was) in self.sources.iter().zip(self.tokens.iter()) {
            let name = &source.name;
            let hash = match hash_of(&source.place) {
                Ok(hash) => Some(hash),
                Err(error) => {
                    if was.hash.is_some() {
                        tracing::warn!(target: AUDIT, name, %error, "token no longer valid");
                    }
                    None
                }
            };
            let is_same = match (&hash, &was.hash) {
                (Some(hash), Some(was)) => hash.is_same(was),
                (_, _) => false,
            };
            if hash.is_some() && !is_same {
                tracing::info!(target: AUDIT, name, "token replaced");
            }
            tokens.push(KnownToken { name: name.clone(), role: source.role, hash });
        }
        Self { sources: self.sources.clone(), tokens: tokens.into(), marks, is_settled }
    }
}

fn sources(admin: &Admin) -> Vec<Source> {
    let nameless = admin.token_file.iter().map(|path| Source {
        name: NAMELESS.to_owned(),
        role: Role::Operator,
        place: Place::Token(path.clone()),
    });
    let named = admin.auth.tokens.iter().map(|it| Source {
        name: it.name.clone(),
        role: it.role,
        place: match &it.hash {
            HashSource::File(path) => Place::Hash(path.clone()),
            HashSource::Environment(name) => Place::Environment(name.clone()),
        },
    });
    nameless.chain(named).collect()
}

fn hash_of(place: &Place) -> Result<TokenHash, TokenError> {
    match place {
        Place::Token(path) => Ok(TokenHash::of(token::read(path)?.as_bytes())),
        Place::Hash(path) => token::read_hash(path),
        Place::Environment(name) => token::read_hash_variable(name),
        Place::Given(hash) => Ok(*hash),
    }
}

fn look(sources: &[Source]) -> (Vec<Mark>, bool) {
    let now = clock::wall_of(clock::now());
    let marks: Vec<Mark> = sources.iter().map(mark).collect();
    let is_settled = marks.iter().flatten().all(|(at, _, _)| *at + SETTLED_AFTER < now);
    (marks, is_settled)
}

fn mark(source: &Source) -> Mark {
    let (Place::Token(path) | Place::Hash(path)) = &source.place else { return None };
    let metadata = fs::metadata(path).ok()?;
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((modified, metadata.len(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NamedToken, sample};

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("bascule-keyring-{}", token::random().unwrap());
            let folder = std::env::temp_dir().join(name);
            fs::create_dir(&folder).unwrap();
            Self(folder)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.0.join(name), text).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            _ = fs::remove_dir_all(&self.0);
        }
    }

    fn admin(folder: &Folder) -> Admin {
        let mut admin = sample::topology(Vec::new()).admin;
        admin.token_file = Some(folder.0.join("plain"));
        let hash = HashSource::File(folder.0.join("hash"));
        admin.auth.tokens = vec![NamedToken { name: "ci".to_owned(), role: Role::Viewer, hash }];
        admin
    }

    fn known(keyring: &Keyring, token: &str) -> Vec<String> {
        let hash = TokenHash::of(token.as_bytes());
        let tokens = keyring.tokens();
        let is_it = |it: &&KnownToken| it.hash.as_ref().is_some_and(|it| it.is_same(&hash));
        tokens.iter().filter(is_it).map(|it| it.name.clone()).collect()
    }

    #[test]
    fn a_changed_file_counts_from_then_on() {
        let folder = Folder::new();
        let [old, new] = ["the-old-token-0123", "the-new-token-0123"];
        folder.write("plain", "the-plain-token-01");
        folder.write("hash", &TokenHash::of(old.as_bytes()).to_string());
        let keyring = Keyring::new(Loaded::of(&admin(&folder)).unwrap());
        assert_eq!(known(&keyring, "the-plain-token-01"), ["operator"]);
        assert_eq!(known(&keyring, old), ["ci"]);
        // In place, and within one tick of the file system's clock.
        folder.write("hash", &TokenHash::of(new.as_bytes()).to_string());
        assert!(known(&keyring, old).is_empty());
        assert_eq!(known(&keyring, new), ["ci"]);
    }

    #[test]
    fn a_file_that_cannot_be_used_closes_its_own_door_only() {
        let folder = Folder::new();
        folder.write("plain", "the-plain-token-01");
        folder.write("hash", &TokenHash::of(b"the-hashed-token-1").to_string());
        let keyring = Keyring::new(Loaded::of(&admin(&folder)).unwrap());
        for text in ["", "nonsense"] {
            folder.write("hash", text);
            assert!(known(&keyring, "the-hashed-token-1").is_empty(), "{text}");
            assert_eq!(known(&keyring, "the-plain-token-01"), ["operator"]);
        }
        fs::remove_file(folder.0.join("hash")).unwrap();
        assert!(known(&keyring, "the-hashed-token-1").is_empty());
        folder.write("hash", &TokenHash::of(b"the-hashed-token-1").to_string());
        assert_eq!(known(&keyring, "the-hashed-token-1"), ["ci"]);
    }

    #[test]
    fn what_cannot_be_read_at_first_is_refused_as_a_whole() {
        let folder = Folder::new();
        folder.write("plain", "the-plain-token-01");
        let admin = admin(&folder);
        assert!(matches!(Loaded::of(&admin), Err(TokenError::UnreadableHash { .. })));
        folder.write("hash", &TokenHash::of(b"the-hashed-token-1").to_string());
        assert!(Loaded::of(&admin).is_ok());
        fs::remove_file(folder.0.join("plain")).unwrap();
        assert!(Loaded::of(&admin).is_err());
    }
}

//! Secrets: made from the system's randomness, kept in files, never in a message.
//!
//! A token is as good as 256 random bits, so that its hash needs no salt and no slowness: nobody
//! finds a token by its SHA-256, and none is found by trying.

use std::{
    fmt,
    fs::{self, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use subtle::ConstantTimeEq as _;

/// 256 bits: beyond guessing, and still one short line.
const TOKEN_BYTES: usize = 32;
/// Shorter could be guessed by trying.
const LENGTH_MIN: usize = 16;
/// Longer is another file.
const LENGTH_MAX: usize = 1_024;

/// Why there is no token. Never says what a file holds.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error(
        "cannot read the token file {path}: {reason}; make one with `bascule token new --out {path}`"
    )]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// In the system's words.
        reason: String,
    },
    /// The file holds something else.
    #[error(
        "the token file {path} must hold one line of {LENGTH_MIN} to {LENGTH_MAX} visible \
         characters; make one with `bascule token new --out {path}`"
    )]
    NotAToken {
        /// Which file.
        path: PathBuf,
    },
    /// The variable of the environment is missing or holds something else.
    #[error(
        "the variable {name} must hold {LENGTH_MIN} to {LENGTH_MAX} visible characters; make some \
         with `bascule token new`"
    )]
    NotInEnvironment {
        /// Which variable.
        name: String,
    },
    /// The file with a hash cannot be read.
    #[error(
        "cannot read the hash of a token in {path}: {reason}; `bascule token new` prints a token and \
         its hash"
    )]
    UnreadableHash {
        /// Which file.
        path: PathBuf,
        /// In the system's words.
        reason: String,
    },
    /// The file holds no hash.
    #[error(
        "the file {path} must hold the SHA-256 of a token: 64 hexadecimal digits, or 44 characters of \
         base64; `bascule token new` prints one beside its token"
    )]
    NotAHash {
        /// Which file.
        path: PathBuf,
    },
    /// The variable of the environment is missing or holds no hash.
    #[error(
        "the variable {name} must hold the SHA-256 of a token: 64 hexadecimal digits, or 44 \
         characters of base64; `bascule token new` prints one beside its token"
    )]
    NoHashInEnvironment {
        /// Which variable.
        name: String,
    },
    /// The file cannot be written.
    #[error("cannot write the token file {path}: {reason}")]
    Unwritable {
        /// Which file.
        path: PathBuf,
        /// In the system's words.
        reason: String,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    NoRandomness(String),
}

/// Who may read a token file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Its owner.
    Owner,
    /// Every user: for a volume that containers with different users share.
    Everybody,
}

/// The SHA-256 of a token: enough to know it by, and of no use to whoever reads it.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; SHA256_OUTPUT_LEN]);

impl TokenHash {
    /// Returns the hash of `token`.
    pub fn of(token: &[u8]) -> Self {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(digest(&SHA256, token).as_ref());
        Self(bytes)
    }

    /// Reads what [`fmt::Display`] writes, or the same in base64. What `sha256sum` adds after a space
    /// is passed over.
    pub fn parse(text: &str) -> Option<Self> {
        let word = text.split_ascii_whitespace().next()?;
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        if word.len() == 2 * SHA256_OUTPUT_LEN {
            for (byte, digits) in bytes.iter_mut().zip(word.as_bytes().chunks(2)) {
                let digits = std::str::from_utf8(digits).ok()?;
                // Signs are no digits, and `from_str_radix` takes one.
                let is_plain = digits.bytes().all(|it| it.is_ascii_hexdigit());
                *byte = u8::from_str_radix(digits, 16).ok().filter(|_| is_plain)?;
            }
        } else {
            bytes = STANDARD.decode(word).ok()?.try_into().ok()?;
        }
        Some(Self(bytes))
    }

    /// Tells whether both are the hash of one token, in a time that does not depend on where they
    /// differ.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    /// A hash is no secret, and of no use in a log either.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash")
    }
}

/// A fresh token, and what a proxy needs to know it by.
#[derive(Clone)]
pub struct Fresh {
    /// For whoever shall show it.
    pub token: String,
    /// For the proxy.
    pub hash: TokenHash,
}

impl fmt::Debug for Fresh {
    /// Leaves the token out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fresh").finish_non_exhaustive()
    }
}

/// Makes a token with its hash.
///
/// # Errors
/// When the system gives no random numbers.
pub fn fresh() -> Result<Fresh, TokenError> {
    let token = random()?;
    let hash = TokenHash::of(token.as_bytes());
    Ok(Fresh { token, hash })
}

/// Reads the hash in the file at `path`.
///
/// # Errors
/// When the file cannot be read, or holds no hash.
pub fn read_hash(path: &Path) -> Result<TokenHash, TokenError> {
    let text = contents(path).map_err(|error| {
        let reason = error.kind().to_string();
        TokenError::UnreadableHash { path: path.to_owned(), reason }
    })?;
    let hash = text.as_deref().and_then(TokenHash::parse);
    hash.ok_or_else(|| TokenError::NotAHash { path: path.to_owned() })
}

/// Reads the hash in a variable of the environment.
///
/// # Errors
/// When the variable is not set, or holds no hash.
pub fn read_hash_variable(name: &str) -> Result<TokenHash, TokenError> {
    let value = std::env::var(name).ok();
    let hash = value.and_then(|text| TokenHash::parse(&text));
    hash.ok_or_else(|| TokenError::NoHashInEnvironment { name: name.to_owned() })
}

/// Reads the token in the file at `path`, without the white space around it.
///
/// # Errors
/// When the file cannot be read, or holds anything but one line that can be a token.
pub fn read(path: &Path) -> Result<String, TokenError> {
    let text = contents(path).map_err(|error| {
        let reason = error.kind().to_string();
        TokenError::Unreadable { path: path.to_owned(), reason }
    })?;
    let token = text.as_deref().and_then(fit);
    token.ok_or_else(|| TokenError::NotAToken { path: path.to_owned() })
}

/// Returns what a file begins with, `None` if it is not text.
fn contents(path: &Path) -> io::Result<Option<String>> {
    let mut text = String::new();
    // Enough to see that a line is too long, and no more: the path may name a device.
    let limit = u64::try_from(2 * LENGTH_MAX).unwrap_or(u64::MAX);
    let file = fs::File::open(path);
    match file.and_then(|file| file.take(limit).read_to_string(&mut text)) {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the token in a variable of the environment, without the white space around it.
///
/// # Errors
/// When the variable is not set, or holds what cannot be a token.
pub fn read_variable(name: &str) -> Result<String, TokenError> {
    let value = std::env::var(name).ok();
    let token = value.and_then(|text| fit(&text));
    token.ok_or_else(|| TokenError::NotInEnvironment { name: name.to_owned() })
}

fn fit(text: &str) -> Option<String> {
    let token = text.trim();
    let fits = (LENGTH_MIN..=LENGTH_MAX).contains(&token.len());
    (fits && token.bytes().all(|byte| byte.is_ascii_graphic())).then(|| token.to_owned())
}

/// Writes a fresh token to the file at `path`, in place of what was there, in one step: whoever
/// reads the file meanwhile gets the old token or the new one. Returns its hash.
///
/// # Errors
/// When the file cannot be written; what was there remains.
pub fn write_new(path: &Path, readers: Readers) -> Result<TokenHash, TokenError> {
    let Fresh { token, hash } = fresh()?;
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::Everybody => 0o644,
    };
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    let written = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        // The mode above is for a new file only, and the umask takes from it.
        file.set_permissions(Permissions::from_mode(mode))?;
        writeln!(file, "{token}")?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    written().map(|()| hash).map_err(|error| {
        // A half-written file must not stay; that there is none is no further error.
        _ = fs::remove_file(&fresh);
        TokenError::Unwritable { path: path.to_owned(), reason: error.kind().to_string() }
    })
}

/// Returns 256 random bits as 64 hexadecimal digits.
///
/// # Errors
/// When the system gives no random numbers.
pub fn random() -> Result<String, TokenError> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| TokenError::NoRandomness(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of its own for each test, removed when the test ends.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("bascule-token-{}", random().unwrap())))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_fresh_token_can_be_read_and_is_another_each_time() {
        let file = Scratch::new();
        write_new(&file.0, Readers::Owner).unwrap();
        let first = read(&file.0).unwrap();
        assert_eq!(first.len(), 2 * TOKEN_BYTES);
        write_new(&file.0, Readers::Owner).unwrap();
        assert_ne!(read(&file.0).unwrap(), first);
    }

    #[test]
    fn only_those_who_may_can_read_the_file() {
        let file = Scratch::new();
        let mode = || fs::metadata(&file.0).unwrap().permissions().mode() & 0o777;
        write_new(&file.0, Readers::Everybody).unwrap();
        assert_eq!(mode(), 0o644);
        write_new(&file.0, Readers::Owner).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_repeated() {
        let file = Scratch::new();
        let long = "x".repeat(LENGTH_MAX + 1);
        let lines = "sixteen-chars-\nor-more";
        for text in ["", "\n", "too-short", "sixteen-chars- or more", lines, &long] {
            fs::write(&file.0, text).unwrap();
            let error = read(&file.0).unwrap_err();
            assert!(matches!(error, TokenError::NotAToken { .. }), "{text:?}: {error}");
            assert!(!error.to_string().contains("chars-"), "{error}");
        }
        fs::write(&file.0, [0xff; 40]).unwrap();
        assert!(matches!(read(&file.0), Err(TokenError::NotAToken { .. })));
        fs::write(&file.0, "  exactly-sixteen-\n").unwrap();
        assert_eq!(read(&file.0).unwrap(), "exactly-sixteen-");
    }

    #[test]
    fn a_hash_is_read_as_it_is_written_and_as_other_programs_write_it() {
        let Fresh { token, hash } = fresh().unwrap();
        let base64 = STANDARD.encode(hash.0);
        let capitals = hash.to_string().to_uppercase();
        let of_sha256sum = format!("{hash}  token.txt\n");
        for text in [hash.to_string(), base64, capitals, of_sha256sum] {
            assert!(TokenHash::parse(&text).unwrap().is_same(&TokenHash::of(token.as_bytes())));
        }
        for text in
            ["", "x", &"g".repeat(64), &"+1".repeat(32), &"é".repeat(32), "AAAA", &token[1..]]
        {
            assert!(TokenHash::parse(text).is_none(), "{text}");
        }
        assert!(!hash.is_same(&fresh().unwrap().hash));
        // The example of FIPS 180-2, B.1.
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(TokenHash::of(b"abc").to_string(), known);
    }

    #[test]
    fn a_file_without_a_hash_is_named_and_not_repeated() {
        let file = Scratch::new();
        fs::write(&file.0, "a-secret-in-the-wrong-place").unwrap();
        let error = read_hash(&file.0).unwrap_err();
        assert!(matches!(error, TokenError::NotAHash { .. }), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
        fs::write(&file.0, [0xff; 64]).unwrap();
        assert!(matches!(read_hash(&file.0), Err(TokenError::NotAHash { .. })));
        fs::write(&file.0, TokenHash::of(b"abc").to_string()).unwrap();
        assert!(read_hash(&file.0).unwrap().is_same(&TokenHash::of(b"abc")));
        let missing = read_hash(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(matches!(missing, TokenError::UnreadableHash { .. }), "{missing}");
    }

    #[test]
    fn a_missing_file_is_named_with_the_remedy() {
        let file = Scratch::new();
        let error = read(&file.0).unwrap_err().to_string();
        assert!(error.contains(&file.0.display().to_string()), "{error}");
        assert!(error.contains("entity not found; make one with"), "{error}");
        let error = write_new(Path::new("/nowhere/at/all"), Readers::Owner).unwrap_err();
        assert!(matches!(error, TokenError::Unwritable { .. }), "{error}");
    }
}

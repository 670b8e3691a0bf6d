//! Rust sources as tokens: what the tests of the house need to know of them, and no more.
//!
//! Reading tokens instead of lines means that comments, texts and tests cannot be mistaken for
//! code. What a macro makes up is not seen.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One word, sign or literal of the code.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

impl Token {
    /// Whether it is a name or a keyword.
    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(|first: char| first.is_alphabetic() || first == '_')
    }
}

/// One file, without comments and without what is compiled for tests only.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) code: Vec<Token>,
    /// Modules in files of their own that are compiled for tests only.
    test_modules: Vec<String>,
}

impl Source {
    pub(crate) fn new(path: impl Into<PathBuf>, text: String) -> Source {
        let (code, test_modules) = without_tests(tokens(&text));
        Source { path: path.into(), text, code, test_modules }
    }

    /// The file's place among the modules: `["fleet", "health"]`; empty for `lib.rs`.
    pub(crate) fn module(&self, root: &Path) -> Vec<String> {
        let path = self.path.strip_prefix(root).unwrap_or(&self.path).with_extension("");
        let names: Vec<String> =
            path.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        if names == ["lib"] { Vec::new() } else { names }
    }

    /// Lines that hold code, tests aside.
    pub(crate) fn lines_of_code(&self) -> usize {
        let mut lines: Vec<usize> = self.code.iter().map(|token| token.line).collect();
        lines.dedup();
        lines.len()
    }

    /// Whether the file declares `mod name;`.
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.test_modules.iter().any(|it| it == name)
            || self
                .code
                .windows(3)
                .any(|it| it[0].text == "mod" && it[1].text == name && it[2].text == ";")
    }

    /// Every path that the code names, `use` trees spelled out, with its line.
    pub(crate) fn paths(&self) -> Vec<(Vec<String>, usize)> {
        let mut paths = Vec::new();
        let mut at = 0;
        while let Some(token) = self.code.get(at) {
            let is_middle = at != 0 && matches!(self.code[at - 1].text.as_str(), "::" | ".");
            at = if token.is_word() && !is_middle {
                read_path(&self.code, at, &[], &mut paths)
            } else {
                at + 1
            };
        }
        paths
    }
}

/// Reads every `.rs` file beneath a folder, in order; none where the folder is missing.
pub(crate) fn sources(folder: &Path) -> Vec<Source> {
    let mut sources: Vec<Source> = files(folder, &["rs"])
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            Source::new(path, text)
        })
        .collect();
    let of_tests: Vec<PathBuf> = sources
        .iter()
        .flat_map(|source| {
            let folder = if source.path.ends_with("lib.rs") || source.path.ends_with("main.rs") {
                source.path.parent().unwrap().to_owned()
            } else {
                source.path.with_extension("")
            };
            source.test_modules.iter().map(move |name| folder.join(name))
        })
        .collect();
    for source in &mut sources {
        if of_tests.iter().any(|it| source.path.with_extension("").starts_with(it)) {
            source.code.clear();
        }
    }
    sources
}

/// Lists the files with these extensions beneath a folder, in order, without what tools put there.
pub(crate) fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_made = ["node_modules", "dist", "results", "test-results", "__pycache__"];
            if path.is_dir() && !is_made.contains(&name.as_str()) {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|it| extensions.iter().any(|wanted| it == *wanted))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Reads the path that begins at `at`; returns where reading goes on.
fn read_path(
    code: &[Token],
    mut at: usize,
    before: &[String],
    paths: &mut Vec<(Vec<String>, usize)>,
) -> usize {
    let text = |at: usize| code.get(at).map_or("", |token| token.text.as_str());
    let mut path = before.to_vec();
    let line = code[at].line;
    loop {
        path.push(text(at).to_owned());
        at += 1;
        if text(at) != "::" {
            break;
        }
        if text(at + 1) == "{" {
            at += 2;
            while at < code.len() && text(at) != "}" {
                at = match text(at) {
                    "," => at + 1,
                    "as" => at + 2,
                    _ => read_path(code, at, &path, paths),
                };
            }
            return at + 1;
        }
        if !(code.get(at + 1).is_some_and(Token::is_word) || text(at + 1) == "*") {
            break;
        }
        at += 1;
    }
    if path.len() > 1 && path.last().is_some_and(|it| it == "self") {
        path.pop();
    }
    paths.push((path, line));
    at
}

/// Leaves out what follows `#[cfg(test)]` or `#[test]`, and names the modules left out whose code
/// is in another file.
fn without_tests(tokens: Vec<Token>) -> (Vec<Token>, Vec<String>) {
    let mut code = Vec::new();
    let mut modules = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let end = if is_attribute(&tokens, at) { closing(&tokens, at + 1) } else { at };
        let names = |word: &str| tokens[at..=end].iter().any(|it| it.text == word);
        if end == at || !names("test") || names("not") {
            code.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at = end + 1;
        while is_attribute(&tokens, at) {
            at = closing(&tokens, at + 1) + 1;
        }
        let item = at;
        at = end_of_item(&tokens, at);
        if let Some(name) = tokens[item..at].iter().skip_while(|it| it.text != "mod").nth(1)
            && tokens[at - 1].text == ";"
        {
            modules.push(name.text.clone());
        }
    }
    (code, modules)
}

fn is_attribute(tokens: &[Token], at: usize) -> bool {
    tokens.get(at).is_some_and(|it| it.text == "#")
        && tokens.get(at + 1).is_some_and(|it| it.text == "[")
}

/// Returns the place after the item that begins at `at`: after its `;`, or its block.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    let is_use = tokens[at..].iter().take(5).any(|it| it.text == "use");
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            ";" => return at + 1,
            "{" if !is_use => return closing(tokens, at) + 1,
            "(" | "[" | "{" => at = closing(tokens, at) + 1,
            _ => at += 1,
        }
    }
    at
}

/// Finds the bracket that closes the one at `open`.
pub(crate) fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len() - 1
}

/// Splits a text into tokens; comments are left out, texts keep their quotes.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while !rest.is_empty() {
        let length = length_of_token(rest);
        let (token, after) = rest.split_at(length);
        let is_blank = token.starts_with(char::is_whitespace);
        if !is_blank && !token.starts_with("//") && !token.starts_with("/*") {
            tokens.push(Token { text: token.to_owned(), line });
        }
        line += token.matches('\n').count();
        rest = after;
    }
    tokens
}

/// Returns the bytes of the token, the comment or the blank that a text begins with.
fn length_of_token(text: &str) -> usize {
    let first = text.chars().next().unwrap();
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return length_of_comment(text);
    }
    if text.starts_with("::") {
        return 2;
    }
    if let Some(length) = length_of_raw_text(text) {
        return length;
    }
    let prefix = if text.starts_with("b\"") || text.starts_with("c\"") || text.starts_with("b'") {
        1
    } else {
        0
    };
    if text[prefix..].starts_with('"') {
        return prefix + length_of_quoted(&text[prefix..], '"').unwrap_or(text.len() - prefix);
    }
    if text[prefix..].starts_with('\'') {
        // A lifetime has no second quote where a character has it.
        let body = text[prefix + 1..].chars().next().unwrap_or('\'');
        let is_character = body == '\\' || text[prefix + 1 + body.len_utf8()..].starts_with('\'');
        let length = if is_character { length_of_quoted(&text[prefix..], '\'') } else { Some(1) };
        return prefix + length.unwrap_or(1);
    }
    if first.is_alphanumeric() || first == '_' {
        let is_part = |it: char| it.is_alphanumeric() || it == '_';
        return text.find(|it| !is_part(it)).unwrap_or(text.len());
    }
    if first.is_whitespace() {
        return text.find(|it: char| !it.is_whitespace()).unwrap_or(text.len());
    }
    first.len_utf8()
}

/// Comments of this kind nest.
fn length_of_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// `r"…"`, `r#"…"#`, and the same after `b` or `c`; `None` for anything else, `r#name` included.
fn length_of_raw_text(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|it| it.trim_start_matches('#').starts_with('"'))
    })?;
    let hashes = text[prefix.len()..].bytes().take_while(|it| *it == b'#').count();
    let open = prefix.len() + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(text[open..].find(&close).map_or(text.len(), |at| open + at + close.len()))
}

fn length_of_quoted(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().skip(1).find_map(|(at, it)| {
        let ends = it == quote && !is_escaped;
        is_escaped = it == '\\' && !is_escaped;
        ends.then_some(at + 1)
    })
}

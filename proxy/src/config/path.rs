//! Names a place in a configuration: `pools.api.backends[1].url`.

use std::fmt;

/// The way from the top of a configuration to one of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Key(String),
    Item(usize),
}

impl Path {
    /// Returns the path of the value of `key` in the mapping at this path.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    /// Returns the path of item `index`, counted from 0, of the list at this path.
    pub(crate) fn item(&self, index: usize) -> Self {
        self.with(Step::Item(index))
    }

    /// Returns this path and all above it, itself first.
    pub(crate) fn lineage(&self) -> impl Iterator<Item = Self> + '_ {
        (0..=self.0.len()).rev().map(|length| Self(self.0[..length].to_vec()))
    }

    /// Returns the pattern of the reference that this path fits: `pools.*.backends[]`.
    pub(crate) fn pattern(&self) -> String {
        let mut pattern = String::new();
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Item(_) => pattern.push_str("[]"),
                Step::Key(key) if position == 0 => pattern.push_str(key),
                // Listeners and pools are the mappings by name that have keys below the name.
                Step::Key(_) if position == 1 && self.is_by_name() => pattern.push_str(".*"),
                Step::Key(key) => pattern.extend([".", key]),
            }
        }
        pattern
    }

    fn is_by_name(&self) -> bool {
        matches!(self.0.first(), Some(Step::Key(top)) if top == "listeners" || top == "pools")
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Item(index) => write!(f, "[{index}]")?,
                Step::Key(key) if position == 0 => write!(f, "{}", clip(key))?,
                Step::Key(key) => write!(f, ".{}", clip(key))?,
            }
        }
        Ok(())
    }
}

/// Returns `text` fit for a message: without control characters, and not too long.
pub(crate) fn clip(text: &str) -> String {
    clip_to(60, text)
}

/// Returns `text` without control characters, cut after `longest` characters.
pub(crate) fn clip_to(longest: usize, text: &str) -> String {
    let mut clipped = String::new();
    for letter in text.chars().take(longest) {
        match letter {
            '\'' | '"' | '\\' => clipped.push(letter),
            _ => clipped.extend(letter.escape_debug()),
        }
    }
    if longest < text.chars().count() {
        clipped.push('…');
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_code() {
        let path = Path::default().key("pools").key("api").key("backends").item(1).key("url");
        assert_eq!(path.to_string(), "pools.api.backends[1].url");
        assert_eq!(path.pattern(), "pools.*.backends[].url");
        assert_eq!(path.lineage().last(), Some(Path::default()));
    }
}

//! "Did you mean …?": the known word that a mistyped one was probably meant to be.

mod synonyms;

pub(crate) use crate::config::suggest::synonyms::ours;

/// Returns the one of `known` that is nearest to `word`, if any is near enough to be meant.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = normal(word);
    known
        .into_iter()
        .filter_map(|candidate| Some((nearness(&word, &normal(candidate))?, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Returns how many letters differ, or `None` for words that do not resemble each other: more than
/// a third of the letters are wrong, and they do not begin alike either (`retry`, `retries`).
fn nearness(word: &[char], candidate: &[char]) -> Option<usize> {
    const SHORTEST_STEM: usize = 4;
    let longer = word.len().max(candidate.len());
    let distance = distance(word, candidate);
    let stem = word.iter().zip(candidate).take_while(|(left, right)| left == right).count();
    let begin_alike = SHORTEST_STEM <= stem && longer <= 2 * stem;
    (distance <= (longer / 3).max(1) || begin_alike).then_some(distance)
}

/// The spelling without what people vary: case, and how words are joined.
///
/// Cut to a bound, so that a key of a megabyte costs no more than a long one.
fn normal(word: &str) -> Vec<char> {
    const LONGEST: usize = 64;
    word.chars()
        .take(LONGEST)
        .map(|letter| if letter == '-' || letter == ' ' { '_' } else { letter })
        .flat_map(char::to_lowercase)
        .collect()
}

/// The number of letters to insert, delete, replace or swap with a neighbour.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, letter) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != other);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped =
                0 < row && 0 < column && left[row - 1] == *other && right[column - 1] == *letter;
            if swapped {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, known: &[&str], expected: Option<&str>) {
        assert_eq!(nearest(word, known.iter().copied()), expected, "{word}");
    }

    #[test]
    fn a_slip_finds_the_word_that_was_meant() {
        check("balnce", &["backends", "balance", "tiers"], Some("balance"));
        check("tmieout", &["timeout", "timeouts"], Some("timeout"));
        check("path-prefix", &["path", "path_prefix"], Some("path_prefix"));
        check("GET", &["get"], Some("get"));
        check("backend", &["backends", "balance"], Some("backends"));
        check("retry", &["tiers", "retries"], Some("retries"));
        check("matches", &["name", "match"], Some("match"));
        check("warning", &["error", "warn"], Some("warn"));
    }

    #[test]
    fn another_word_finds_nothing() {
        check("colour", &["balance", "tiers"], None);
        check("", &["balance"], None);
        check("on", &["url"], None);
    }
}

//! What the user may have meant.
//!
//! What enters: a word and the words that would do. What leaves: the nearest, if it is near. Deliberately absent: wording.

/// Words longer than this are never compared.
const LEN_MAX: usize = 64;

/// The candidate that differs from `word` by few enough letters (a third of its length, one at least), if any.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    if word.is_empty() || word.len() > LEN_MAX {
        return None;
    }
    let allowed = (word.len() / 3).max(1);
    candidates
        .into_iter()
        .filter(|c| c.len() <= LEN_MAX)
        .map(|c| (distance(&word, &c.to_lowercase().chars().collect::<Vec<_>>()), c))
        .filter(|(d, _)| *d <= allowed)
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

/// Letters to insert, remove, replace or swap with their neighbour.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut best = (cell(&last, j) + usize::from(x != y)).min(cell(&last, j + 1) + 1).min(cell(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(cell(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_not() {
        let words = ["time_column", "sort_by", "seal_rows"];
        assert_eq!(nearest("sort_yb", words), Some("sort_by"));
        assert_eq!(nearest("SEAL_ROW", words), Some("seal_rows"));
        assert_eq!(nearest("timecolumn", words), Some("time_column"));
        assert_eq!(nearest("compression", words), None);
        assert_eq!(nearest("", words), None);
        assert_eq!(nearest("SELEC", ["select", "set"]), Some("select"));
    }
}

//! The known word nearest to an unknown one, for messages that say what was probably meant.

/// The candidate within a third of the word's length (at least one edit), or `None`.
pub(crate) fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, case ignored.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(i + 1);
        for ((y, up), diagonal) in b.iter().zip(row.iter().skip(1)).zip(&row) {
            let left = next.last().copied().unwrap_or(0);
            let replaced = diagonal + usize::from(x != *y);
            next.push(replaced.min(left + 1).min(up + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let known = ["brokers", "topic", "start", "on_gap"];
        assert_eq!(closest("broker", known), Some("brokers"));
        assert_eq!(closest("tpoic", known), None, "two edits of five letters are too many");
        assert_eq!(closest("on_gasp", known), Some("on_gap"));
        assert_eq!(closest("banana", known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}

//! The nearest right word to a wrong one.

/// A hint that names the nearest of `known`, or all of them where none is near and they are few.
pub fn hint<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    match nearest(wrong, known.iter().copied()) {
        Some(word) => Some(format!("did you mean `{word}`?")),
        None if known.is_empty() || known.len() > 16 => None,
        None => Some(format!("known: {}", known.join(", "))),
    }
}

/// The word that a person most likely meant: one slip in three letters at most.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A long text is no misspelt word; the distance costs the product of both lengths.
    if wrong.len() > 64 {
        return None;
    }
    let wrong = wrong.to_lowercase().replace('-', "_");
    let slips_max = (wrong.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|word| {
            let plain = word.to_lowercase().replace('-', "_");
            (strsim::damerau_levenshtein(&wrong, &plain), word)
        })
        .filter(|(slips, word)| *slips <= slips_max && *slips < word.chars().count())
        .min()
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_not_strangers() {
        let known = ["sweep", "interval", "exclude"];
        assert_eq!(nearest("sweeep", known), Some("sweep"));
        assert_eq!(nearest("swep", known), Some("sweep"));
        assert_eq!(nearest("Interval", known), Some("interval"));
        assert_eq!(nearest("banana", known), None);
        assert_eq!(nearest("x", ["y"]), None);
    }

    #[test]
    fn names_all_where_none_is_near() {
        assert_eq!(
            hint("banana", ["tcp", "otlp"]).as_deref(),
            Some("known: otlp, tcp")
        );
    }
}

//! Mostly one value, sometimes several: without an allocation for the first.

/// Values that one key has.
#[derive(Clone, Debug)]
pub(crate) struct Few<T> {
    first: T,
    more: Vec<T>,
}

impl<T> Few<T> {
    pub(crate) fn one(first: T) -> Self {
        Self {
            first,
            more: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, value: T) {
        self.more.push(value);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first).chain(&self.more)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        std::iter::once(&mut self.first).chain(&mut self.more)
    }

    /// The value where there is only one.
    pub(crate) fn only(&self) -> Option<&T> {
        self.more.is_empty().then_some(&self.first)
    }

    /// Keeps some; `false` if none is left, and then nothing was changed.
    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) -> bool {
        if !keep(&self.first) {
            let Some(at) = self.more.iter().position(&keep) else {
                return false;
            };
            self.first = self.more.swap_remove(at);
        }
        self.more.retain(keep);
        if self.more.is_empty() {
            self.more = Vec::new();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_is_said_to_go() {
        let mut few = Few::one(1);
        few.push(2);
        few.push(3);
        assert_eq!(few.only(), None);
        assert!(few.retain(|value| *value != 1));
        assert!(few.retain(|value| *value == 3));
        assert_eq!(few.only(), Some(&3));
        assert!(!few.retain(|_| false));
    }
}

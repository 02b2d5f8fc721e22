//! Names that many objects share are held once.

use std::sync::Arc;

use hashbrown::HashSet;

/// Below this many names nothing is looked for that nobody uses any more.
const LEAST: usize = 1_024;

/// The names in use; those that nobody uses any more are forgotten as others come.
#[derive(Debug, Default)]
pub(crate) struct Names {
    names: HashSet<Arc<str>>,
    purge_at: usize,
}

impl Names {
    pub(crate) fn share(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        if self.names.len() >= self.purge_at.max(LEAST) {
            self.names.retain(|name| Arc::strong_count(name) > 1);
            self.purge_at = self.names.len() * 2;
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_uses_is_forgotten() {
        let mut names = Names::default();
        let kept = names.share("kept");
        for n in 0..100_000 {
            names.share(&n.to_string());
        }
        assert!(Arc::ptr_eq(&kept, &names.share("kept")));
        assert!(names.names.len() <= 2 * LEAST);
    }
}

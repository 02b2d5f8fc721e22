//! The way of a row into its series, found with one look-up for all lines of its table: of a burst of
//! connections almost every row goes where another went before.
//!
//! What is remembered here is only true until series end or names are forgotten: both happen at a flush,
//! and then it begins anew.

use hashbrown::HashMap;
use tapetum_model::Rows;

/// How many ways are remembered.
pub(super) const WAYS_MAX: usize = 4_096;

/// Lines of a table whose series are remembered; those beyond are looked up each time.
const LINES_MAX: usize = 16;

/// What a way and its entry take.
pub(super) const WAY_BYTES: u64 = 256;

/// Rows of which all of this is equal add to the same series. Ends are told apart by the addresses of
/// what they point to, which [`Names`](super::name::Names) keeps alive meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Route {
    near: (usize, usize),
    far: (usize, usize),
    table: usize,
    variant: u64,
}

/// Where the increments of one line go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) slot: u32,
    /// Its port, or all of it, is folded.
    pub(super) folded_port: bool,
    pub(super) folded: bool,
}

/// Where the ends of the rows stand among the names, and their series as far as they are known.
struct Way {
    near: usize,
    far: usize,
    places: [Option<Place>; LINES_MAX],
}

/// All that is remembered.
#[derive(Default)]
pub(super) struct Ways {
    index: HashMap<Route, usize>,
    ways: Vec<Way>,
}

impl Route {
    pub(super) fn of(rows: &dyn Rows, row: usize) -> Self {
        let (near, far) = rows.ends(row);
        Self {
            near: near.pointers(),
            far: far.pointers(),
            table: rows.contributions().as_ptr() as usize,
            variant: rows.variant(row),
        }
    }
}

impl Ways {
    pub(super) fn find(&self, route: &Route) -> Option<usize> {
        self.index.get(route).copied()
    }

    /// A way that is new: its ends are the `near`th and the `far`th of the names.
    pub(super) fn insert(&mut self, route: Route, near: usize, far: usize) -> usize {
        self.ways.push(Way {
            near,
            far,
            places: [None; LINES_MAX],
        });
        let way = self.ways.len() - 1;
        self.index.insert(route, way);
        way
    }

    pub(super) fn is_full(&self) -> bool {
        self.ways.len() >= WAYS_MAX
    }

    /// Series ended, or names were forgotten.
    pub(super) fn forget(&mut self) {
        self.index.clear();
        self.ways.clear();
    }

    pub(super) fn ends(&self, way: usize) -> (usize, usize) {
        (self.ways[way].near, self.ways[way].far)
    }

    pub(super) fn place(&self, way: usize, line: usize) -> Option<Place> {
        *self.ways[way].places.get(line)?
    }

    pub(super) fn remember(&mut self, way: usize, line: usize, place: Place) {
        if let Some(known) = self.ways[way].places.get_mut(line) {
            *known = Some(place);
        }
    }
}

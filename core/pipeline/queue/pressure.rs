//! Tells receivers how full the queues behind them are.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::Pressure;

/// The levels of all queues, and who watches which of them.
pub(crate) struct Board {
    levels: Mutex<Vec<Pressure>>,
    watchers: Vec<(Vec<usize>, watch::Sender<Pressure>)>,
}

impl Board {
    /// A board of `queues` queues; each watcher is given the queues behind it.
    pub(crate) fn new(
        queues: usize,
        behind: impl IntoIterator<Item = Vec<usize>>,
    ) -> (Self, Vec<watch::Receiver<Pressure>>) {
        let (watchers, watched) = behind
            .into_iter()
            .map(|queues| {
                let (teller, watched) = watch::channel(Pressure::None);
                ((queues, teller), watched)
            })
            .unzip();
        let board = Self {
            levels: Mutex::new(vec![Pressure::None; queues]),
            watchers,
        };
        (board, watched)
    }

    /// Says the level of one queue.
    pub(crate) fn tell(&self, queue: usize, level: Pressure) {
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        if levels[queue] == level {
            return;
        }
        levels[queue] = level;
        for (behind, teller) in &self.watchers {
            let worst = behind.iter().map(|queue| levels[*queue]).max();
            teller.send_if_modified(|told| {
                let worst = worst.unwrap_or_default();
                std::mem::replace(told, worst) != worst
            });
        }
    }
}

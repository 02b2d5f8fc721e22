//! Says to whoever handed something over that it is safe: when the last of what became of it is on the
//! disk, has been sent, or has been counted as lost.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::Answer;

/// Held by everything that is not safe yet; answers when nothing holds it any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Receipt(Option<Arc<Held>>);

/// What a receipt answers for.
#[derive(Debug)]
enum Held {
    /// One sender.
    Sender(Mutex<Option<oneshot::Sender<Answer>>>),
    /// All of these.
    All { _receipts: Vec<Receipt> },
}

impl Receipt {
    /// Answers this sender.
    pub(crate) fn to(sender: oneshot::Sender<Answer>) -> Self {
        Self(Some(Arc::new(Held::Sender(Mutex::new(Some(sender))))))
    }

    /// Answers at once, because nothing was taken.
    pub(crate) fn refuse(self, answer: Answer) {
        if let Some(held) = self.0 {
            held.answer(answer);
        }
    }

    /// Lets all of these wait.
    pub(crate) fn all(receipts: Vec<Self>) -> Self {
        match receipts.is_empty() {
            true => Self(None),
            false => Self(Some(Arc::new(Held::All {
                _receipts: receipts,
            }))),
        }
    }
}

impl Held {
    fn answer(&self, answer: Answer) {
        if let Self::Sender(sender) = self
            && let Some(sender) = sender.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            // A sender that does not wait any more needs no answer.
            let _ = sender.send(answer);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.answer(Answer::Accepted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_comes_when_nothing_holds_the_receipt_any_more() {
        let (sender, mut answer) = oneshot::channel();
        let receipt = Receipt::to(sender);
        let both = Receipt::all(vec![receipt.clone(), Receipt::default()]);
        drop(receipt);
        assert!(answer.try_recv().is_err());
        drop(both);
        assert_eq!(answer.try_recv(), Ok(Answer::Accepted));
    }
}

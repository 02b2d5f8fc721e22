//! The records that flow and the batches that carry them: data only, no I/O, no async, no clock.

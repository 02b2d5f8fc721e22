//! The rules of the table on rows made up here, without a kernel: births, periods, ends, names, ids.

mod ends;
mod found;
mod join;
mod left_out;
mod life;
mod world;

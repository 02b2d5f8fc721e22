//! The watch against a scripted API server: what it asks, what it survives, what it names.

mod cuts;
mod life;
mod lists;
mod model;
mod owners;
mod world;

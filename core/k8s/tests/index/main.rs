//! What the index answers, from objects as the API server sends them.

mod addresses;
mod names;
mod services;
mod world;

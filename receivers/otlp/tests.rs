//! What senders see of the receiver, over real connections, and what comes out of it.

mod calls;
mod limits;
mod requests;
mod secure;
mod sender;
mod world;

pub(super) use world::file;

//! Object storages.

mod client;

pub(super) use self::client::client;

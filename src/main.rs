//! The imgforge server and its command line.
fn main() {}

//! Which variables were set, so that a later reading can be compared with an earlier one.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::var::Var;

/// Names without prefix, each with a hash of its value: the values themselves may be secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given(BTreeMap<&'static str, u64>);

impl Given {
    /// Takes down that `var` is set to `value`.
    pub(super) fn note(&mut self, var: &Var, value: &str) {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        self.0.insert(var.name, hasher.finish());
    }

    /// Whether `var` is set to something else in `other`, or set in one of the two only.
    pub fn differs(&self, other: &Self, var: &Var) -> bool {
        self.0.get(var.name) != other.0.get(var.name)
    }
}

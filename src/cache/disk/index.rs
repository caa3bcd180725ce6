//! What lies on the disk, in memory: sizes, order of use, and which entries belong to a source.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::cache::{CacheKey, Purge, Tags};

/// Known entries. Every operation takes logarithmic time, besides what it gives back.
#[derive(Debug, Default)]
pub(super) struct Index {
    nodes: HashMap<CacheKey, Node>,
    /// The least recently used entry is the first.
    order: BTreeMap<Rank, CacheKey>,
    sources: BTreeMap<Arc<str>, HashSet<CacheKey>>,
    bytes: u64,
    last: Rank,
}

#[derive(Debug)]
struct Node {
    bytes: u64,
    rank: Rank,
    tags: Tags,
}

/// Milliseconds since 1970, and a number that tells two uses in one millisecond apart.
type Rank = (u64, u64);

impl Index {
    /// An entry has been written or read just now.
    pub(super) fn used(&mut self, key: CacheKey, bytes: u64, tags: Tags) {
        let rank = self.latest(SystemTime::now());
        self.insert(key, bytes, tags, rank);
    }

    /// An entry has been found that was used last at `used`, by a clock that may have been another one.
    pub(super) fn found(&mut self, key: CacheKey, bytes: u64, tags: Tags, used: SystemTime) {
        let now = self.latest(SystemTime::now());
        // What seems to have been used in the future would be the last to go until then.
        let rank = (millis(used).min(now.0), now.1);
        self.insert(key, bytes, tags, rank);
    }

    fn insert(&mut self, key: CacheKey, bytes: u64, tags: Tags, rank: Rank) {
        self.remove(&key);
        self.order.insert(rank, key);
        let keys = self.sources.entry(Arc::clone(&tags.source)).or_default();
        keys.insert(key);
        self.bytes += bytes;
        self.nodes.insert(key, Node { bytes, rank, tags });
    }

    /// An entry has been used; whether it is known.
    pub(super) fn touch(&mut self, key: &CacheKey) -> bool {
        let rank = self.latest(SystemTime::now());
        let Some(node) = self.nodes.get_mut(key) else {
            return false;
        };
        self.order.remove(&node.rank);
        node.rank = rank;
        self.order.insert(rank, *key);
        true
    }

    /// An entry is gone; whether it was known.
    pub(super) fn remove(&mut self, key: &CacheKey) -> bool {
        let Some(node) = self.nodes.remove(key) else {
            return false;
        };
        self.order.remove(&node.rank);
        self.bytes -= node.bytes;
        if let Some(keys) = self.sources.get_mut(&node.tags.source) {
            keys.remove(key);
            if keys.is_empty() {
                self.sources.remove(&node.tags.source);
            }
        }
        true
    }

    /// Takes the least recently used entry while there are more than `capacity` bytes.
    pub(super) fn overflow(&mut self, capacity: u64) -> Option<CacheKey> {
        if self.bytes <= capacity {
            return None;
        }
        let key = *self.order.first_key_value()?.1;
        self.remove(&key);
        Some(key)
    }

    /// Takes the entries that a purge is about.
    pub(super) fn take(&mut self, purge: &Purge) -> Vec<CacheKey> {
        let sources: Vec<(&Arc<str>, &HashSet<CacheKey>)> = match purge {
            Purge::All => self.sources.iter().collect(),
            Purge::Source(source) => self.sources.get_key_value(&**source).into_iter().collect(),
            Purge::Variants { source, .. } => {
                self.sources.get_key_value(&**source).into_iter().collect()
            }
            Purge::Prefix(prefix) => self
                .sources
                .range::<str, _>((
                    std::ops::Bound::Included(&**prefix),
                    std::ops::Bound::Unbounded,
                ))
                .take_while(|(source, _)| source.starts_with(&**prefix))
                .collect(),
        };
        let keys: Vec<CacheKey> = sources
            .into_iter()
            .flat_map(|(_, keys)| keys)
            .filter(|key| {
                self.nodes
                    .get(key)
                    .is_some_and(|node| purge.is_about(&node.tags))
            })
            .copied()
            .collect();
        for key in &keys {
            self.remove(key);
        }
        keys
    }

    /// Whether an entry is known.
    pub(super) fn contains(&self, key: &CacheKey) -> bool {
        self.nodes.contains_key(key)
    }

    /// The known entries that `keep` refuses.
    pub(super) fn missing(&self, keep: impl Fn(&CacheKey) -> bool) -> Vec<CacheKey> {
        self.nodes
            .keys()
            .filter(|key| !keep(key))
            .copied()
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The rank of a use at the moment; above all others, also where the clock has been set back.
    fn latest(&mut self, now: SystemTime) -> Rank {
        self.last = (millis(now).max(self.last.0), self.last.1 + 1);
        self.last
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(number: u32) -> CacheKey {
        CacheKey::of(&[&number.to_be_bytes()])
    }

    fn tags(source: &str, variant: u32) -> Tags {
        Tags {
            source: source.into(),
            variant_of: key(1000 + variant),
        }
    }

    fn filled() -> Index {
        let mut index = Index::default();
        let now = SystemTime::now() - Duration::from_secs(60);
        let sources = ["http://a/1", "http://a/1", "http://a/2", "http://b/1"];
        for (number, source) in (0..).zip(sources) {
            index.found(key(number), 100, tags(source, number / 2), now);
        }
        index
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut index = filled();
        assert!(index.touch(&key(0)));
        assert!(!index.touch(&key(9)));
        assert_eq!(index.overflow(400), None);
        assert_eq!(index.overflow(250), Some(key(1)));
        assert_eq!(index.overflow(250), Some(key(2)));
        assert_eq!(index.overflow(250), None);
        assert_eq!((index.len(), index.bytes()), (2, 200));
        // Found later, but used before all others.
        index.found(key(5), 100, tags("x", 0), UNIX_EPOCH);
        assert_eq!(index.overflow(250), Some(key(5)));
    }

    #[test]
    fn purges_take_what_they_are_about() {
        let source = "http://a/1".into();
        let variant_of = key(1000);
        let cases = [
            (Purge::All, vec![0, 1, 2, 3]),
            (Purge::Source("http://a/1".into()), vec![0, 1]),
            (Purge::Source("http://a/".into()), vec![]),
            (Purge::Prefix("http://a/".into()), vec![0, 1, 2]),
            (Purge::Prefix("http://a/1".into()), vec![0, 1]),
            (Purge::Prefix("http://c".into()), vec![]),
            (Purge::Variants { source, variant_of }, vec![0, 1]),
            (
                Purge::Variants {
                    source: "http://a/1".into(),
                    variant_of: key(1001),
                },
                vec![],
            ),
        ];
        for (purge, expected) in cases {
            let mut index = filled();
            let mut taken = index.take(&purge);
            let mut expected: Vec<CacheKey> = expected.into_iter().map(key).collect();
            taken.sort();
            expected.sort();
            assert_eq!(taken, expected, "{purge:?}");
            assert_eq!(index.len(), 4 - expected.len(), "{purge:?}");
            assert_eq!(index.order.len(), index.len());
            assert_eq!(index.bytes(), 100 * index.len() as u64);
            assert!(index.sources.values().all(|keys| !keys.is_empty()));
        }
    }

    #[test]
    fn an_entry_counts_once() {
        let mut index = filled();
        index.used(key(0), 50, tags("http://c", 0));
        assert_eq!((index.len(), index.bytes()), (4, 350));
        assert_eq!(index.take(&Purge::Source("http://a/1".into())), [key(1)]);
        assert!(index.contains(&key(0)));
        assert_eq!(index.missing(|k| *k == key(0)).len(), 2);
    }

    #[test]
    fn a_clock_that_moves_changes_no_order() {
        let mut index = Index::default();
        let now = SystemTime::now();
        // Found with the times of a clock that was wrong.
        index.found(key(1), 100, tags("s", 0), now + Duration::from_secs(86_400));
        index.used(key(2), 100, tags("s", 0));
        assert_eq!(index.overflow(100), Some(key(1)));
        // The clock is set back while the program runs.
        let ahead = index.latest(now + Duration::from_secs(86_400));
        index.insert(key(3), 100, tags("s", 0), ahead);
        index.used(key(4), 100, tags("s", 0));
        assert!(index.touch(&key(2)));
        assert_eq!(index.overflow(200), Some(key(3)));
        assert_eq!(index.overflow(100), Some(key(4)));
    }
}

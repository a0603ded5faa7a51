//! A memory of decoded media with a byte budget.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// A concurrent map from a file (or any key) to its decoded content. It fills up to its budget and then only serves
/// what it has: with small data everything fits after one epoch, with large data nothing is thrown out again and
/// again. What a key maps to must not depend on who asks, so the cache never changes a result, only its time.
#[derive(Debug)]
pub struct MediaCache<V> {
    budget: usize,
    inner: RwLock<Inner<V>>,
}

#[derive(Debug)]
struct Inner<V> {
    map: HashMap<Vec<u8>, Arc<V>>,
    bytes: usize,
}

impl<V> MediaCache<V> {
    /// A cache that holds at most `budget` bytes; 0 holds nothing.
    pub fn new(budget: usize) -> Self {
        Self { budget, inner: RwLock::new(Inner { map: HashMap::new(), bytes: 0 }) }
    }

    /// The value of `key`, made by `make` if it is not held. Two threads that miss at the same time both make it, and
    /// the first one's is kept: waiting for each other would cost more.
    ///
    /// # Errors
    /// Those of `make`; nothing is stored then.
    pub fn get_or_try_insert<E>(
        &self,
        key: impl AsRef<[u8]>,
        bytes_of: impl FnOnce(&V) -> usize,
        make: impl FnOnce() -> Result<V, E>,
    ) -> Result<Arc<V>, E> {
        let key = key.as_ref();
        // A poisoned lock still guards a sound map: nothing in here can stop half-way.
        if let Some(value) = self.inner.read().unwrap_or_else(PoisonError::into_inner).map.get(key) {
            return Ok(value.clone());
        }
        let value = Arc::new(make()?);
        let size = bytes_of(&value);
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = inner.map.get(key) {
            return Ok(other.clone());
        }
        if inner.bytes.saturating_add(size) <= self.budget {
            inner.bytes += size;
            inner.map.insert(key.to_vec(), value.clone());
        }
        Ok(value)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).bytes
    }

    /// Values held.
    pub fn len(&self) -> usize {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).map.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(cache: &MediaCache<Vec<u8>>, key: &str, made: &mut usize) -> Arc<Vec<u8>> {
        let make = || {
            *made += 1;
            Ok::<_, ()>(key.as_bytes().to_vec())
        };
        cache.get_or_try_insert(key, Vec::len, make).unwrap()
    }

    #[test]
    fn holds_up_to_its_budget_and_serves_the_rest() {
        let (cache, mut made) = (MediaCache::new(5), 0);
        for _ in 0..3 {
            assert_eq!(*get(&cache, "abc", &mut made), b"abc");
            assert_eq!(*get(&cache, "defg", &mut made), b"defg");
            assert_eq!(*get(&cache, "hi", &mut made), b"hi");
        }
        // "abc" and "hi" fit and are made once, "defg" never fits and is made each time.
        assert_eq!((cache.bytes(), cache.len(), made), (5, 2, 1 + 3 + 1));
    }

    #[test]
    fn a_failure_is_not_stored() {
        let cache = MediaCache::<Vec<u8>>::new(10);
        assert_eq!(cache.get_or_try_insert("a", Vec::len, || Err("broken")), Err("broken"));
        assert!(cache.is_empty());
        assert_eq!(*cache.get_or_try_insert("a", Vec::len, || Ok::<_, ()>(vec![1])).unwrap(), [1]);
    }

    #[test]
    fn threads_agree() {
        let cache = MediaCache::new(1 << 20);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for key in 0..100u8 {
                        let value = cache
                            .get_or_try_insert(key.to_string(), Vec::len, || Ok::<_, ()>(vec![key]))
                            .unwrap();
                        assert_eq!(*value, [key]);
                    }
                });
            }
        });
        assert_eq!((cache.len(), cache.bytes()), (100, 100));
    }
}

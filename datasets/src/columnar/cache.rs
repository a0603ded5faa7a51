//! What was read last, within a budget of bytes, shared by threads.

use crate::Result;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The values that were asked for last. A value that several threads want at once is made once, the others wait for it.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    budget: usize,
    state: Mutex<State<K, V>>,
}

type Cell<V> = Arc<Mutex<Option<Arc<V>>>>;

#[derive(Debug)]
struct State<K, V> {
    held: HashMap<K, Held<V>>,
    /// By when they were asked for.
    order: BTreeMap<u64, K>,
    now: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Held<V> {
    cell: Cell<V>,
    used: u64,
    bytes: usize,
}

impl<K: Hash + Eq + Clone, V> Cache<K, V> {
    /// Holds at most `budget` bytes, or one value that is larger.
    pub(crate) fn new(budget: usize) -> Self {
        let state = State { held: HashMap::new(), order: BTreeMap::new(), now: 0, bytes: 0 };
        Self { budget, state: Mutex::new(state) }
    }

    /// Nothing stops half-way while it is locked.
    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of `key`, made where it is not held.
    ///
    /// # Errors
    /// Those of `make`; nothing is held then.
    pub(crate) fn get(
        &self,
        key: &K,
        bytes_of: impl FnOnce(&V) -> usize,
        make: impl FnOnce() -> Result<V>,
    ) -> Result<Arc<V>> {
        let cell = self.lock().cell(key);
        let mut value = cell.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = &*value {
            return Ok(value.clone());
        }
        let made = make().map(Arc::new);
        match &made {
            Ok(made) => {
                *value = Some(made.clone());
                self.lock().fill(key, &cell, bytes_of(made), self.budget);
            }
            Err(_) => self.lock().drop_cell(key, &cell),
        }
        made
    }

    /// Bytes held.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }
}

impl<K: Hash + Eq + Clone, V> State<K, V> {
    fn cell(&mut self, key: &K) -> Cell<V> {
        self.now += 1;
        let now = self.now;
        let held =
            self.held.entry(key.clone()).or_insert_with(|| Held { cell: Cell::default(), used: 0, bytes: 0 });
        self.order.remove(&held.used);
        held.used = now;
        self.order.insert(now, key.clone());
        held.cell.clone()
    }

    fn fill(&mut self, key: &K, cell: &Cell<V>, bytes: usize, budget: usize) {
        // It may have been thrown out while it was made.
        if let Some(held) = self.held.get_mut(key)
            && Arc::ptr_eq(&held.cell, cell)
        {
            self.bytes = self.bytes - held.bytes + bytes;
            held.bytes = bytes;
        }
        while self.bytes > budget && self.order.len() > 1 {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            self.bytes -= self.held.remove(&oldest).map_or(0, |held| held.bytes);
        }
    }

    fn drop_cell(&mut self, key: &K, cell: &Cell<V>) {
        if self.held.get(key).is_some_and(|held| Arc::ptr_eq(&held.cell, cell))
            && let Some(held) = self.held.remove(key)
        {
            self.order.remove(&held.used);
            self.bytes -= held.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    fn get(cache: &Cache<u32, Vec<u8>>, key: u32, bytes: usize, made: &mut usize) -> Arc<Vec<u8>> {
        let make = || {
            *made += 1;
            Ok(vec![key as u8; bytes])
        };
        cache.get(&key, Vec::len, make).unwrap()
    }

    #[test]
    fn holds_what_was_asked_for_last() {
        let (cache, mut made) = (Cache::new(10), 0);
        for key in [1, 2, 1, 3, 1, 2] {
            assert_eq!(get(&cache, key, 4, &mut made)[0], key as u8);
        }
        // 3 threw out 2, which was asked for before 1; then 2 throws out 3.
        assert_eq!((made, cache.bytes()), (4, 8));
        get(&cache, 9, 99, &mut made);
        assert_eq!((made, cache.bytes()), (5, 99), "a value above the budget is held alone");
        get(&cache, 1, 4, &mut made);
        assert_eq!((made, cache.bytes()), (6, 4));
    }

    #[test]
    fn a_failure_is_not_held() {
        let cache = Cache::<u32, Vec<u8>>::new(10);
        let broken = || Err(Error::Options("broken".into()));
        assert!(cache.get(&1, Vec::len, broken).is_err());
        assert_eq!(*cache.get(&1, Vec::len, || Ok(vec![1])).unwrap(), [1]);
    }

    #[test]
    fn several_who_want_one_value_make_it_once() {
        let (cache, made) = (Cache::new(1 << 10), Mutex::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for key in 0..100u32 {
                        let make = || {
                            *made.lock().unwrap() += 1;
                            Ok(vec![key as u8])
                        };
                        assert_eq!(*cache.get(&key, Vec::len, make).unwrap(), [key as u8]);
                    }
                });
            }
        });
        assert_eq!((*made.lock().unwrap(), cache.bytes()), (100, 100));
    }
}

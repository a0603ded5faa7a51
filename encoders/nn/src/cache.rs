//! Keys and values that are kept: of the tokens so far, and of a memory.

use crate::Result;
use tch::{Device, Kind, Tensor};

/// Keys and values `[N, H, S, D]` of one attention.
#[derive(Debug)]
pub struct KeyValues {
    /// What queries are held against.
    pub keys: Tensor,
    /// What is gathered.
    pub values: Tensor,
}

impl KeyValues {
    /// The items `rows` `[n]` int64.
    fn select(&self, rows: &Tensor) -> Result<Self> {
        Ok(Self { keys: self.keys.f_index_select(0, rows)?, values: self.values.f_index_select(0, rows)? })
    }
}

/// A memory as blocks see it: projected once, whatever the number of tokens and of texts that attend to it.
#[derive(Debug)]
pub struct CrossKv {
    /// Of each block that has cross-attention, from the bottom up.
    pub(crate) blocks: Vec<KeyValues>,
    /// `[N, 1, 1, S]` bool.
    pub(crate) mask: Option<Tensor>,
    pub(crate) items: i64,
}

impl CrossKv {
    /// Number of items N.
    pub fn items(&self) -> i64 {
        self.items
    }

    /// The items `rows` `[n]` int64 of it.
    ///
    /// # Errors
    /// libtorch's.
    pub fn select(&self, rows: &Tensor) -> Result<Self> {
        Ok(Self {
            blocks: self.blocks.iter().map(|kv| kv.select(rows)).collect::<Result<_>>()?,
            mask: self.mask.as_ref().map(|m| m.f_index_select(0, rows)).transpose()?,
            items: rows.size()[0],
        })
    }
}

/// Room for the keys and values `[B, H, capacity, D]` of the tokens so far, of one attention.
#[derive(Debug)]
pub struct KvCache {
    keys: Tensor,
    values: Tensor,
    length: i64,
}

impl KvCache {
    /// Empty, of `[rows, heads, capacity, width of a head]`.
    ///
    /// # Errors
    /// No room.
    pub fn new(shape: [i64; 4], of: (Kind, Device)) -> Result<Self> {
        let empty = || Tensor::f_empty(shape, of);
        Ok(Self { keys: empty()?, values: empty()?, length: 0 })
    }

    /// Number of tokens that it holds.
    pub fn length(&self) -> i64 {
        self.length
    }

    /// Takes the keys and values `[B, H, T, D]` of the next tokens, and gives all there are: views, no copies.
    ///
    /// # Errors
    /// No room for so many.
    pub fn append(&mut self, keys: &Tensor, values: &Tensor) -> Result<KeyValues> {
        let (behind, t) = (self.length, keys.size()[2]);
        self.keys.f_narrow(2, behind, t)?.f_copy_(keys)?;
        self.values.f_narrow(2, behind, t)?.f_copy_(values)?;
        self.length += t;
        Ok(KeyValues {
            keys: self.keys.f_narrow(2, 0, self.length)?,
            values: self.values.f_narrow(2, 0, self.length)?,
        })
    }

    fn reorder(&mut self, rows: &Tensor, alike: i64) -> Result<()> {
        let n = rows.size()[0];
        for side in [&mut self.keys, &mut self.values] {
            // Other rows are other memory: nothing of it is there yet.
            let begin = if side.size()[0] == n { alike.clamp(0, self.length) } else { 0 };
            let length = self.length - begin;
            let taken = side.f_narrow(2, begin, length)?.f_index_select(0, rows)?;
            if side.size()[0] != n {
                let mut shape = side.size();
                shape[0] = n;
                *side = Tensor::f_empty(&shape, (side.kind(), side.device()))?;
            }
            side.f_narrow(2, begin, length)?.f_copy_(&taken)?;
        }
        Ok(())
    }
}

/// The keys and values of the tokens so far, of each block.
#[derive(Debug)]
pub struct Cache {
    pub(crate) blocks: Vec<KvCache>,
}

impl Cache {
    /// Number of tokens that it holds.
    pub fn length(&self) -> i64 {
        self.blocks.first().map_or(0, KvCache::length)
    }

    /// Number of texts.
    pub fn rows(&self) -> i64 {
        self.blocks.first().and_then(|c| c.keys.size().first().copied()).unwrap_or(0)
    }

    /// Row i becomes what row `rows[i]` was (`[n]` int64), as beam search asks. The first `alike` tokens of each row and of the row that it becomes
    /// are the same: where the number of rows stays, they are not copied.
    ///
    /// # Errors
    /// libtorch's.
    pub fn reorder(&mut self, rows: &Tensor, alike: i64) -> Result<()> {
        self.blocks.iter_mut().try_for_each(|b| b.reorder(rows, alike))
    }
}

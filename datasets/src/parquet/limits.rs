//! What a Parquet file may cost, whoever wrote it.

use unisono_files::Budget;

/// Most bytes of an unpacked page, unless more is allowed: the largest image or audio file that is read by default, and what else is in its page.
pub(crate) const PAGE: u64 = 512 << 20;
/// A table of 100,000 groups of 100 columns has a footer of such a size.
const FOOTER: u64 = 256 << 20;
/// Values that such a footer may have.
const VALUES: u64 = 1 << 26;
/// Values of a page, slots of a piece, and its numbers, which take less (16,384 vectors of width 2,048), where a page has as many bytes as it may by default.
const OF_PAGE: u64 = 1 << 22;
const SLOTS: u64 = 1 << 23;
const NUMBERS: u64 = 1 << 25;

/// Bounds that a source may raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of an unpacked page, and of what of a column is unpacked at once: a page and its dictionary, or a column of lists in a row group.
    pub(crate) page: u64,
    /// Bytes of a footer.
    pub(crate) footer: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { page: PAGE, footer: FOOTER }
    }
}

impl Limits {
    /// With what a source says of them.
    pub(crate) fn of(page: Option<u64>, footer: Option<u64>) -> Self {
        let usual = Self::default();
        Self { page: page.unwrap_or(usual.page), footer: footer.unwrap_or(usual.footer) }
    }

    pub(super) fn footers(&self) -> Budget {
        Budget { bytes: self.footer, values: scaled(VALUES, self.footer, FOOTER), depth: 32 }
    }

    /// Values of a page.
    pub(super) fn values(&self) -> i64 {
        i64::try_from(self.per_page(OF_PAGE)).unwrap_or(i64::MAX)
    }

    /// Slots of a piece, or its numbers.
    pub(super) fn slots(&self, numbers: bool) -> usize {
        usize::try_from(self.per_page(if numbers { NUMBERS } else { SLOTS })).unwrap_or(usize::MAX)
    }

    fn per_page(&self, usual: u64) -> u64 {
        scaled(usual, self.page, PAGE)
    }
}

/// As much more as is allowed; never less than usual: a small bound on bytes is one on everything already.
fn scaled(usual: u64, found: u64, of: u64) -> u64 {
    let wide = u128::from(usual) * u128::from(found) / u128::from(of.max(1));
    usual.max(u64::try_from(wide).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_bytes_are_more_values_and_fewer_are_bound_enough() {
        let limits = Limits::of(Some(2 << 30), Some(1 << 20));
        assert_eq!((limits.values(), limits.slots(false), limits.slots(true)), (1 << 24, 1 << 25, 1 << 27));
        assert_eq!((limits.footers().bytes, limits.footers().values), (1 << 20, VALUES));
        let usual = Limits::of(None, None);
        assert_eq!((usual.values(), usual.slots(false), usual.slots(true)), (1 << 22, 1 << 23, 1 << 25));
        let all = Limits::of(Some(u64::MAX), Some(u64::MAX));
        assert!(all.values() > 1 << 40 && all.footers().values > 1 << 60);
    }
}

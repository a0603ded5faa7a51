//! Whose part of some work is done here.

/// A part of a listing, taken turn by turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Counted from 0.
    pub index: usize,
    /// Number of parts.
    pub count: usize,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Whether the item of this index belongs to it.
    pub fn has(self, item: usize) -> bool {
        item % self.count.max(1) == self.index
    }

    /// Whether an item that is known by this key belongs to it: the same on every machine, whatever else is listed there.
    pub(crate) fn takes(self, key: &unisono_index::Key) -> bool {
        let number = key.iter().take(8).fold(0u64, |all, byte| all << 8 | u64::from(*byte));
        number % self.count.max(1) as u64 == self.index as u64
    }

    /// The launcher's rank (`RANK`, `WORLD_SIZE`, as torchrun sets them; `SLURM_PROCID`, `SLURM_NTASKS`), or all where there is no
    /// launcher. Empty variables count as absent.
    ///
    /// # Errors
    /// A rank without a size, or what is no rank of that size: each of many processes would silently do everything.
    pub fn of_launcher() -> std::result::Result<Self, String> {
        Self::of_variables(|name| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned()))
    }

    fn of_variables(get: impl Fn(&str) -> Option<String>) -> std::result::Result<Self, String> {
        for (rank, size) in [("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS")] {
            let value = |name| get(name).filter(|v| !v.is_empty());
            let (index, count) = match (value(rank), value(size)) {
                (Some(index), Some(count)) => (index, count),
                (Some(index), None) if rank == "RANK" => (index, String::new()),
                // A size without a rank is an allocation without its launcher; a batch script of Slurm's has a number and no size.
                _ => continue,
            };
            return match (index.trim().parse::<usize>(), count.trim().parse::<usize>()) {
                (Ok(index), Ok(count)) if index < count => Ok(Self { index, count }),
                _ => Err(format!(
                    "{rank}={index:?} and {size}={count:?}: expected a rank from 0 to below the size; set both, unset both, or give --shard i/n"
                )),
            };
        }
        Ok(Self::WHOLE)
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    /// `2/8`: the second of eight.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || format!("expected i/n with 1 <= i <= n, as 2/8, found {text:?}");
        let (i, n) = text.split_once('/').ok_or_else(wrong)?;
        let (i, n): (usize, usize) = (i.parse().map_err(|_| wrong())?, n.parse().map_err(|_| wrong())?);
        if i == 0 || i > n { Err(wrong()) } else { Ok(Self { index: i - 1, count: n }) }
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_take_turns() {
        let shards: Vec<Shard> = ["1/3", "2/3", "3/3"].iter().map(|s| s.parse().unwrap()).collect();
        for item in 0..10 {
            assert_eq!(shards.iter().filter(|s| s.has(item)).count(), 1);
        }
        for wrong in ["0/3", "4/3", "3", "a/b", "1/0", "-1/2"] {
            assert!(wrong.parse::<Shard>().unwrap_err().contains("as 2/8"), "{wrong}");
        }
    }

    #[test]
    fn launchers_say_which_part_is_whose() {
        let of = |set: &'static [(&str, &str)]| {
            Shard::of_variables(|name| set.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        assert_eq!(of(&[("RANK", "2"), ("WORLD_SIZE", "8")]), Ok(Shard { index: 2, count: 8 }));
        assert_eq!(of(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "2")]), Ok(Shard { index: 0, count: 2 }));
        for nobody in [
            &[][..],
            &[("RANK", ""), ("WORLD_SIZE", "")],
            &[("WORLD_SIZE", "8")],
            &[("SLURM_NTASKS", "8")],
            &[("SLURM_PROCID", "0")],
        ] {
            assert_eq!(of(nobody), Ok(Shard::WHOLE), "{nobody:?}");
        }
        for wrong in [
            &[("RANK", "x")][..],
            &[("RANK", "x"), ("WORLD_SIZE", "4")],
            &[("RANK", "4"), ("WORLD_SIZE", "4")],
            &[("RANK", "-1"), ("WORLD_SIZE", "4")],
            &[("RANK", "0")],
            &[("RANK", "0"), ("WORLD_SIZE", "many")],
            &[("SLURM_PROCID", "9"), ("SLURM_NTASKS", "2")],
        ] {
            let e = of(wrong).unwrap_err();
            assert!(e.contains(wrong[0].1) && e.contains("--shard i/n"), "{e}");
        }
    }

    #[test]
    fn every_key_is_one_part_s() {
        for n in 0..200u8 {
            let key = [n.wrapping_mul(37); 16];
            let takers = (0..7).filter(|index| Shard { index: *index, count: 7 }.takes(&key)).count();
            assert_eq!(takers, 1);
            assert!(Shard::default().takes(&key));
        }
    }
}

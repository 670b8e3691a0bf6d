//! A table of texts that are hashed as they are read, so that every beginning of a path, and every
//! end of a host, is looked up in passing.

/// The hash of a text so far: FNV-1a. Without a secret, because nobody but the configuration adds
/// anything to a table: a client that finds a text with an equal hash gains one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hash(u64);

/// Of a text of which nothing has been read.
impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    /// Returns the hash of a whole text.
    pub(crate) fn of(text: impl Iterator<Item = u8>) -> Self {
        let mut hash = Self::default();
        text.for_each(|byte| hash.eat(byte));
        hash
    }

    /// Reads on by a byte.
    pub(crate) fn eat(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
}

/// Finds numbers by hash: open addressing, half full at most.
#[derive(Debug)]
pub(crate) struct Table {
    slots: Vec<Option<(Hash, usize)>>,
}

impl Table {
    /// Makes the table that finds 0, 1, … by these hashes.
    pub(crate) fn new(hashes: &[Hash]) -> Self {
        let mut slots = vec![None; (2 * hashes.len()).next_power_of_two()];
        for (number, &hash) in hashes.iter().enumerate() {
            let free = walk(hash, slots.len()).find(|&at| slots[at].is_none());
            if let Some(free) = free {
                slots[free] = Some((hash, number));
            }
        }
        Self { slots }
    }

    /// Returns the number with this hash that `is_it`.
    pub(crate) fn find(&self, hash: Hash, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        walk(hash, self.slots.len())
            .map_while(|at| self.slots[at])
            .find(|&(found, number)| found == hash && is_it(number))
            .map(|(_, number)| number)
    }
}

/// Returns every slot of a table, in the order in which a hash looks at them.
fn walk(hash: Hash, slots: usize) -> impl Iterator<Item = usize> {
    let mask = slots - 1;
    // The upper half, mixed: the lower bits of FNV-1a know least of the text.
    let mixed = hash.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let start = usize::try_from(mixed).unwrap_or(0);
    (0..slots).map(move |nth| start.wrapping_add(nth) & mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> Hash {
        Hash::of(text.bytes())
    }

    #[test]
    fn everything_is_found_by_its_hash_and_nothing_else_is() {
        let texts: Vec<String> = (0..1000).map(|it| format!("/r{it}")).collect();
        let hashes: Vec<Hash> = texts.iter().map(|it| hash(it)).collect();
        let table = Table::new(&hashes);
        for (number, text) in texts.iter().enumerate() {
            assert_eq!(table.find(hash(text), |it| texts[it] == *text), Some(number));
            assert_eq!(table.find(hash(text), |_| false), None);
            assert_eq!(table.find(hash(&format!("{text}/")), |_| true), None);
        }
    }

    #[test]
    fn nothing_is_found_in_an_empty_table() {
        assert_eq!(Table::new(&[]).find(hash(""), |_| true), None);
    }

    #[test]
    fn equal_hashes_are_told_apart() {
        let same = hash("a");
        let table = Table::new(&[same, same, same]);
        for number in 0..3 {
            assert_eq!(table.find(same, |it| it == number), Some(number));
        }
    }
}

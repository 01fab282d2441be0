//! A file as the kernel has it: what reads see, what is on the disk, and what lies between.
//!
//! Writes go into the cache. Until the next good sync each page of them may be on the disk or not,
//! in any order, torn at the sectors, and in any version that it had since. A sync that fails
//! leaves the pages clean though not all of them are on the disk: later syncs do not write them,
//! the cache answers for them, and when the kernel drops them, or the power is cut, what is on the
//! disk is what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::dice::Dice;

const PAGE: usize = 4096;
const SECTOR: usize = 512;
/// Versions of a page that are remembered beside the last.
const VERSIONS: usize = 3;

#[derive(Debug, Default)]
pub struct Kernel {
    cache: Vec<u8>,
    disk: Vec<u8>,
    /// Pages that the next sync writes, with what they held before since the last one.
    dirty: BTreeMap<usize, Vec<Vec<u8>>>,
    /// Lengths that were set since the last good sync.
    lens: Vec<usize>,
    /// Clean pages that may differ from the disk.
    doubtful: BTreeSet<usize>,
    /// Pages for which the disk has found room.
    allocated: BTreeSet<usize>,
}

/// How much of what was not synced a power cut leaves.
#[derive(Debug, Clone, Copy)]
enum Survives {
    Nothing,
    Everything,
    Some,
}

impl Kernel {
    pub fn len(&self) -> usize {
        self.cache.len()
    }

    /// `false`: beyond the end.
    pub fn read(&self, offset: usize, out: &mut [u8]) -> bool {
        let Some(bytes) = self.cache.get(offset..offset + out.len()) else { return false };
        out.copy_from_slice(bytes);
        true
    }

    pub fn set_len(&mut self, len: usize) {
        self.cache.resize(len, 0);
        self.lens.push(len);
        let end = len.div_ceil(PAGE);
        self.dirty.split_off(&end);
        self.doubtful.split_off(&end);
        self.allocated.split_off(&end);
    }

    /// Whether there is anything to write for which the disk must find room first.
    pub fn needs_room(&self, offset: usize, bytes: usize) -> bool {
        pages(offset, bytes).any(|page| !self.allocated.contains(&page))
    }

    pub fn write(&mut self, offset: usize, data: &[u8]) {
        assert!(offset + data.len() <= self.cache.len(), "a write beyond the end");
        for page in pages(offset, data.len()) {
            let before = self.cache[self.range(page)].to_vec();
            match self.dirty.get_mut(&page) {
                Some(versions) if versions.len() < VERSIONS => versions.push(before),
                Some(_) => {}
                None => {
                    self.dirty.insert(page, Vec::new());
                }
            }
            self.doubtful.remove(&page);
            self.allocated.insert(page);
        }
        self.cache[offset..offset + data.len()].copy_from_slice(data);
    }

    pub fn sync(&mut self) {
        for len in std::mem::take(&mut self.lens) {
            self.disk.resize(len, 0);
        }
        for page in std::mem::take(&mut self.dirty).into_keys() {
            self.write_back(page);
        }
    }

    /// Some of the pages reach the disk, all become clean, and those that did not may be dropped
    /// from memory at once.
    pub fn fail_sync(&mut self, dice: &mut Dice) {
        // The new length is on the disk, or is written with the next sync.
        if dice.one_in(2) {
            for len in std::mem::take(&mut self.lens) {
                self.disk.resize(len, 0);
            }
        }
        let survives = survivors(dice);
        for page in std::mem::take(&mut self.dirty).into_keys() {
            let written = match survives {
                Survives::Nothing => false,
                Survives::Everything => true,
                Survives::Some => dice.one_in(2),
            };
            if written && self.range(page).end <= self.disk.len() {
                self.write_back(page);
            } else {
                self.doubtful.insert(page);
            }
        }
        if dice.one_in(4) {
            self.drop_some_clean(dice);
        }
    }

    fn drop_some_clean(&mut self, dice: &mut Dice) {
        for page in std::mem::take(&mut self.doubtful) {
            if dice.one_in(2) {
                self.read_back(page);
            } else {
                self.doubtful.insert(page);
            }
        }
    }

    /// What a start asks for before it looks at the file: everything that can be is written, and
    /// what is in memory is read anew.
    pub fn forget_cached(&mut self) {
        self.sync();
        for page in std::mem::take(&mut self.doubtful) {
            self.read_back(page);
        }
    }

    pub fn power_cut(&mut self, dice: &mut Dice) {
        let survives = survivors(dice);
        let lens = std::mem::take(&mut self.lens);
        let applied = match survives {
            Survives::Nothing => 0,
            Survives::Everything => lens.len(),
            Survives::Some => dice.below(lens.len() + 1),
        };
        for len in &lens[..applied] {
            self.disk.resize(*len, 0);
        }
        for (page, versions) in std::mem::take(&mut self.dirty) {
            if self.range(page).end > self.disk.len() {
                continue;
            }
            match survives {
                Survives::Nothing => {}
                Survives::Everything => self.write_back(page),
                Survives::Some => self.tear(page, &versions, dice),
            }
        }
        self.cache.clone_from(&self.disk);
        self.doubtful.clear();
        let end = self.disk.len().div_ceil(PAGE);
        self.allocated.split_off(&end);
    }

    /// The whole page, nothing of it, or of each sector any version.
    fn tear(&mut self, page: usize, versions: &[Vec<u8>], dice: &mut Dice) {
        match dice.below(4) {
            0 => {}
            1 => self.write_back(page),
            _ => {
                let range = self.range(page);
                for start in range.clone().step_by(SECTOR) {
                    let end = range.end.min(start + SECTOR);
                    let choice = dice.below(versions.len() + 2);
                    if choice == 0 {
                        self.disk[start..end].copy_from_slice(&self.cache[start..end]);
                    } else if let Some(version) = versions.get(choice - 1) {
                        let within = start - range.start..end - range.start;
                        // The file may have been shorter then.
                        if let Some(bytes) = version.get(within) {
                            self.disk[start..end].copy_from_slice(bytes);
                        }
                    }
                }
            }
        }
    }

    fn write_back(&mut self, page: usize) {
        let range = self.range(page);
        self.disk[range.clone()].copy_from_slice(&self.cache[range]);
    }

    fn read_back(&mut self, page: usize) {
        let range = self.range(page);
        let on_disk = range.start.min(self.disk.len())..range.end.min(self.disk.len());
        let (read, beyond) = self.cache[range].split_at_mut(on_disk.len());
        read.copy_from_slice(&self.disk[on_disk]);
        beyond.fill(0);
    }

    fn range(&self, page: usize) -> Range<usize> {
        page * PAGE..self.cache.len().min((page + 1) * PAGE)
    }
}

fn pages(offset: usize, bytes: usize) -> Range<usize> {
    offset / PAGE..(offset + bytes).div_ceil(PAGE)
}

fn survivors(dice: &mut Dice) -> Survives {
    dice.weighted(&[(2, Survives::Nothing), (1, Survives::Everything), (5, Survives::Some)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel() -> Kernel {
        let mut kernel = Kernel::default();
        kernel.set_len(2 * PAGE);
        kernel.write(0, &[1; 2 * PAGE]);
        kernel.sync();
        kernel
    }

    fn content(kernel: &Kernel) -> Vec<u8> {
        let mut bytes = vec![0; kernel.len()];
        assert!(kernel.read(0, &mut bytes));
        bytes
    }

    #[test]
    fn what_was_synced_survives_and_what_was_not_may_not() {
        let mut seen = BTreeSet::new();
        for seed in 0..100 {
            let mut kernel = kernel();
            kernel.write(0, &[2; PAGE]);
            kernel.write(SECTOR, &[3; SECTOR]);
            kernel.power_cut(&mut Dice::new(seed));
            let after = content(&kernel);
            assert!(after[PAGE..].iter().all(|byte| *byte == 1), "it was synced and not touched");
            seen.insert(after[..2 * SECTOR].iter().step_by(SECTOR).copied().collect::<Vec<_>>());
        }
        // Nothing, everything, torn between two sectors, and an earlier version of the second.
        for (first, second) in [(1, 1), (2, 3), (1, 3), (2, 1), (2, 2)] {
            assert!(seen.contains(&vec![first, second]), "{first} {second}");
        }
    }

    #[test]
    fn a_failed_sync_leaves_pages_clean_that_are_not_on_the_disk() {
        let mut lost = 0;
        for seed in 0..100 {
            let mut kernel = kernel();
            kernel.write(0, &[2; PAGE]);
            kernel.fail_sync(&mut Dice::new(seed));
            kernel.sync();
            let before = content(&kernel);
            kernel.power_cut(&mut Dice::new(seed));
            lost += usize::from(before[0] == 2 && content(&kernel)[0] == 1);
        }
        assert!(lost > 10, "the next sync does not write them: {lost}");
    }

    #[test]
    fn who_has_the_cache_forgotten_reads_what_is_there() {
        for seed in 0..100 {
            let mut kernel = kernel();
            kernel.write(0, &[2; PAGE]);
            kernel.fail_sync(&mut Dice::new(seed));
            kernel.write(PAGE, &[3; PAGE]);
            kernel.forget_cached();
            let before = content(&kernel);
            kernel.power_cut(&mut Dice::new(seed));
            assert!(content(&kernel) == before && before[PAGE] == 3);
        }
    }
}

//! What was written since the last good sync, byte for byte, so that it can be written again.

use std::collections::BTreeMap;

/// Ranges of a file that do not overlap, by their offset, with the bytes last written there.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    ranges: BTreeMap<u64, Vec<u8>>,
    bytes: usize,
}

impl Unsynced {
    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        self.remove(offset, offset + data.len() as u64);
        self.insert(offset, data.to_vec());
    }

    /// The file is this long now.
    pub(super) fn truncate(&mut self, len: u64) {
        self.remove(len, u64::MAX);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn ranges(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.ranges.iter().map(|(offset, bytes)| (*offset, bytes.as_slice()))
    }

    fn insert(&mut self, offset: u64, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        self.ranges.insert(offset, bytes);
    }

    /// Cuts `start..end` out of what is held.
    fn remove(&mut self, start: u64, end: u64) {
        // The range before may reach into it, and even beyond its end.
        if let Some((&offset, before)) = self.ranges.range_mut(..start).next_back() {
            let (keep, reach) = (to_index(start - offset), offset + before.len() as u64);
            if reach > start {
                let rest = (reach > end).then(|| before[to_index(end - offset)..].to_vec());
                self.bytes -= before.len() - keep;
                before.truncate(keep);
                if let Some(rest) = rest {
                    self.insert(end, rest);
                }
            }
        }
        while let Some((&offset, _)) = self.ranges.range(start..end).next()
            && let Some(bytes) = self.ranges.remove(&offset)
        {
            self.bytes -= bytes.len();
            if offset + bytes.len() as u64 > end {
                self.insert(end, bytes[to_index(end - offset)..].to_vec());
            }
        }
    }
}

/// Within one write, which memory holds whole.
fn to_index(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Op {
        Write(u8, Vec<u8>),
        Truncate(u8),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            8 => (any::<u8>(), vec(any::<u8>(), 0..40))
                .prop_map(|(offset, data)| Op::Write(offset, data)),
            1 => any::<u8>().prop_map(Op::Truncate),
        ]
    }

    proptest! {
        #[test]
        fn holds_what_was_written_last_at_each_place(ops in vec(op(), 0..40)) {
            let mut unsynced = Unsynced::default();
            let mut model = [None; 300];
            for op in ops {
                match op {
                    Op::Write(offset, data) => {
                        unsynced.write(offset.into(), &data);
                        for (place, byte) in model[usize::from(offset)..].iter_mut().zip(data) {
                            *place = Some(byte);
                        }
                    }
                    Op::Truncate(len) => {
                        unsynced.truncate(len.into());
                        model[usize::from(len)..].fill(None);
                    }
                }
                let mut held = [None; 300];
                for (offset, bytes) in unsynced.ranges() {
                    let start = usize::try_from(offset).unwrap();
                    for (place, byte) in held[start..].iter_mut().zip(bytes) {
                        prop_assert!(place.replace(*byte).is_none(), "ranges overlap");
                    }
                }
                prop_assert_eq!(held, model);
                prop_assert_eq!(unsynced.bytes(), model.iter().flatten().count());
            }
        }
    }
}

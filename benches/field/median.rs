//! What several turns have in the middle.

/// 0 of none.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    if all.is_empty() {
        return 0.0;
    }
    f64::midpoint(all[(all.len() - 1) / 2], all[all.len() / 2])
}

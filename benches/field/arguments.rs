//! What the arguments of a benchmark say.

use std::str::FromStr;

use crate::Failure;

/// The arguments, one after the other.
pub struct Arguments(std::vec::IntoIter<String>);

impl Arguments {
    /// Has `set` take each of this process's arguments, with its value if it has one; it gives
    /// `false` for one that it does not know. `--full` may be unknown: all benchmarks get it, and
    /// not each has something longer to do.
    pub fn read(
        mut set: impl FnMut(&str, &mut Self) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let mut all = Self(std::env::args().skip(1).collect::<Vec<_>>().into_iter());
        while let Some(name) = all.0.next() {
            // Cargo's own.
            if name == "--bench" {
                continue;
            }
            let known = set(&name, &mut all).map_err(|error| format!("{name} {error}"))?;
            if !known && name != "--full" {
                return Err(format!("unknown argument {name}").into());
            }
        }
        Ok(())
    }

    pub fn text(&mut self) -> Result<String, Failure> {
        self.0.next().ok_or_else(|| "takes a value".into())
    }

    pub fn number<T: FromStr + PartialOrd + Default>(&mut self) -> Result<T, Failure> {
        let number = self.text()?.parse().ok().filter(|number| *number > T::default());
        number.ok_or_else(|| "takes a number above 0".into())
    }
}

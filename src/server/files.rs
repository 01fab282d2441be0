//! Open files: each connection is one, and the process may have only so many.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::domain::limits::{HTTP_CONNECTIONS, RESERVED_FILES};

/// Raises the soft limit to the hard one and gives the number of connections that can be had: the
/// configured one, or what the files leave.
pub(super) fn leave_connections(configured: usize) -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    let files = getrlimit(Resource::Nofile).current;
    let files = files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    let connections = connections_of(files, configured);
    tracing::info!(files, connections, "connections that the limit of open files leaves");
    if connections < configured {
        tracing::warn!(
            configured,
            connections,
            "fewer connections than configured: raise the limit of open files"
        );
    }
    connections
}

fn connections_of(files: usize, configured: usize) -> usize {
    files.saturating_sub(RESERVED_FILES + HTTP_CONNECTIONS).max(1).min(configured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_kept_back_for_everything_else() {
        assert_eq!(connections_of(usize::MAX, 100), 100);
        assert_eq!(connections_of(1_320, 100_000), 1_000);
        assert_eq!(connections_of(10, 100_000), 1, "too few files still serve somebody");
    }
}

//! What the server listens on: the port that clients know, and another for metrics.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::StartError;

/// Everything that the server listens on, with the addresses that it really got.
pub(super) struct Listeners {
    pub(super) main: TcpListener,
    pub(super) addr: SocketAddr,
    pub(super) metrics: Option<TcpListener>,
    pub(super) metrics_addr: Option<SocketAddr>,
}

impl Listeners {
    /// `or_without`: where there is no listening for metrics, there are none.
    pub(super) async fn open(
        addr: SocketAddr,
        metrics: Option<SocketAddr>,
        or_without: bool,
    ) -> Result<Self, StartError> {
        let (main, addr) =
            bind(addr).await.map_err(|source| StartError::Listen { addr, source })?;
        let mut listeners = Self { main, addr, metrics: None, metrics_addr: None };
        let Some(addr) = metrics else { return Ok(listeners) };
        match bind(addr).await {
            Ok((metrics, addr)) => {
                tracing::info!(%addr, "metrics at /metrics");
                (listeners.metrics, listeners.metrics_addr) = (Some(metrics), Some(addr));
            }
            Err(error) if or_without => {
                tracing::warn!(%addr, %error, "no metrics; metrics.listen sets another address");
            }
            Err(source) => return Err(StartError::ListenForMetrics { addr, source }),
        }
        Ok(listeners)
    }
}

async fn bind(addr: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(addr).await?;
    listener.local_addr().map(|addr| (listener, addr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_wished_address_for_metrics_has_to_be_free() {
        let any = "127.0.0.1:0".parse().unwrap();
        let taken = TcpListener::bind(any).await.unwrap();
        let metrics = Some(taken.local_addr().unwrap());
        let open = |or_without| Listeners::open(any, metrics, or_without);
        assert!(matches!(open(false).await, Err(StartError::ListenForMetrics { .. })));
        let listeners = open(true).await.unwrap();
        assert!(listeners.metrics.is_none() && listeners.metrics_addr.is_none());
    }
}

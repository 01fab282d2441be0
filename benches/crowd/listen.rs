//! Members of the crowd, listening.

use crate::client::{Frame, Member};
use crate::tally::{Crowd, Report};
use crate::{Failure, PATIENCE};

impl Member {
    /// Hears everything up to the message that says it is the last; also ends when nothing comes
    /// any more, and then what is missing is missing.
    pub async fn listen(mut self, crowd: &Crowd) -> Result<Report, Failure> {
        let mut report = Report::new(crowd.total());
        while let Ok(text) = tokio::time::timeout(PATIENCE, self.text()).await {
            let text = text?;
            let frame: Frame<'_> = serde_json::from_str(&text)?;
            let (Some(seq), Some(message)) = (frame.seq, frame.message) else { continue };
            let number: usize = message.trim_end().parse()?;
            if number == crowd.total() {
                break;
            }
            crowd.hear(number);
            report.hear(seq, number);
        }
        Ok(report)
    }
}

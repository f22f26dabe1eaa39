//! `release`: gives a host's tree back once the laptop holds everything.

use super::client::Remote;
use super::error::RemoteError;
use super::request::Request;
use super::script::Verb;
use crate::model::attempt::AttemptNo;
use crate::model::id::HostName;
use crate::model::snapshot::Oid;

/// What the laptop holds of one attempt; the host lets go of nothing else.
pub struct Receipt {
    pub attempt: AttemptNo,
    pub capture: Option<Oid>,
    /// Bytes of the mirrored log.
    pub log: u64,
}

impl Remote {
    /// Releases the handoff; refused unless every attempt has ended and is acknowledged exactly.
    pub async fn release(&self, name: &HostName, receipts: &[Receipt]) -> Result<(), RemoteError> {
        let request = || {
            let mut request = Request::new().line("name", name);
            for receipt in receipts {
                let capture = receipt.capture.as_ref().map_or("-", Oid::as_str);
                request = request.line("ack", format!("{} {capture} {}", receipt.attempt, receipt.log));
            }
            request
        };
        self.call(Verb::Release, request).await.map(drop)
    }
}

//! `pull`: fetches the captures that this repository lacks.

use crate::supervise::custody::missing::pull_missing;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;

impl Driver {
    /// Fetches every capture that this repository lacks, as far as the journal tells. Returns how many arrived.
    pub async fn pull(&mut self) -> Result<usize, Error> {
        pull_missing(&mut self.record, &mut self.connection).await
    }
}

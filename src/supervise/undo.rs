//! `undo`: a checkout is again as it was before the last takeover into it.

use std::path::PathBuf;

use crate::supervise::checkout;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;

impl Driver {
    /// Restores files and index. Returns the checkout, and `false` if that was done before.
    ///
    /// # Errors
    /// There is nothing to undo, or files changed since; nothing is touched.
    pub fn undo(&mut self) -> Result<(PathBuf, bool), Error> {
        let undone = checkout::undo(&mut self.record)?;
        self.record.update()?;
        Ok(undone)
    }
}

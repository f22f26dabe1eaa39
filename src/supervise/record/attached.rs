//! The laptop's copies of the files that the user attached to the task, for people and for an agent after a takeover.

use std::path::PathBuf;
use std::sync::Arc;

use crate::git::refs;
use crate::model::handoff::Handoff;
use crate::supervise::error::Error;
use crate::supervise::services::{Services, blocking};

/// Keeps the attached files from git's gc, and writes their copies unless they are there.
///
/// # Errors
/// git or the disk fails.
pub(in crate::supervise) async fn keep_attached(services: &Arc<Services>, handoff: &Handoff) -> Result<(), Error> {
    let request = handoff.request();
    let Some(attached) = request.attached.clone() else { return Ok(()) };
    services.repository.keep_ref(&refs::attached(&request.id), &attached.commit)?;
    let (repository, directory) = (services.repository.clone(), directory(services, handoff));
    blocking(move || repository.write_attached(&directory, &attached)).await??;
    Ok(())
}

/// The paths of the copies.
pub fn attached_paths(services: &Services, handoff: &Handoff) -> Vec<PathBuf> {
    let files = handoff.request().attached.iter().flat_map(|attached| &attached.files);
    files.map(|file| directory(services, handoff).join(&file.name)).collect()
}

fn directory(services: &Services, handoff: &Handoff) -> PathBuf {
    services.store.directory(&handoff.request().id).join("attached")
}

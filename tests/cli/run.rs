//! `handoff run`: the main job, what arrives, what is refused, and how each end is told.

mod arrives;
mod ends;
mod main_job;
mod options;
mod refused;

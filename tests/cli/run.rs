//! `handoff run`: the main job, transfer to the host, refused runs, and the report of each kind of end.

mod arrives;
mod attach;
mod ends;
mod main_job;
mod options;
mod refused;
mod ships;

//! The record: the files that people read, without the secrets that an agent printed.

mod masking;
pub mod record_files;

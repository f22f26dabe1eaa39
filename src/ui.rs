//! Shows events as lines, a progress line or JSON, and asks the user.

pub mod ask;
pub mod json;
pub mod line;
pub mod live;
pub mod plain;
pub mod raw;
pub mod screen;
pub mod ship_summary;
pub mod terminal;
pub mod text;

//! Events → lines, bars, JSON; questions to a person.

pub mod ask;
pub mod json;
pub mod line;
pub mod live;
pub mod plain;
pub mod raw;
pub mod screen;
pub mod terminal;
pub mod text;

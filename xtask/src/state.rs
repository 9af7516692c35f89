//! What is remembered of deploys: the journal of the one under way, the records of all that ended, and who may deploy
//! now.

pub mod history;
pub mod journal;
pub mod lease;
pub mod store;

//! The field on which servers are measured: a crowd in one room, its messages counted and timed by
//! a process that is not the server.

pub mod api;
pub mod arguments;
pub mod cores;
pub mod crowd;
pub mod delays;
pub mod dialect;
pub mod end;
pub mod house;
pub mod median;
pub mod meter;
pub mod plan;
pub mod process;
pub mod report;
pub mod tally;
pub mod task;
pub mod wire;
pub mod works;

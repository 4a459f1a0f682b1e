//! Stories: the built binary against simulated providers over real HTTP, judged by what stands in the SQLite file.

mod failures;
mod harness;
mod imports;
mod main_job;
mod oddities;

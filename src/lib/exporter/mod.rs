//! The page of metrics for Prometheus: `GET /metrics` at the address of `[exporter] listen`, the same for all programs.
//!
//! A page is made when it is asked for, by the program's own loop, from what it has at that moment:
//!
//! ```text
//! let (mut scrapes, door) = exporter::start(&config.exporter);             // nothing happens without an address
//! tokio::select! { scrape = scrapes.next() => scrape.answer(page), … }      // or: Served::new(make_page)
//! ```
//!
//! Names, kinds and explanations come from the tables of [`crate::telemetry`].

mod access;
mod page;
mod runtime;
mod server;

pub use page::Page;
pub(crate) use server::{Door, Scrape, Scrapes, Served};
pub use server::{check, start};

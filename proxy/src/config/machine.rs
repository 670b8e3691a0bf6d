//! The last pass: does this machine have what the configuration speaks of?
//!
//! Nothing is changed: addresses are bound and let go, files are read. A configuration for another
//! machine fails here, which is why this pass can be left out.

mod certificates;
mod hosts;
mod listening;
mod secrets;

use crate::config::{file::File, validate::Review};

/// Reports everything that is missing here.
pub(crate) fn look(file: &File, review: &mut Review<'_>) {
    listening::look(file, review);
    certificates::look(file, review);
    secrets::look(file, review);
    hosts::look(file, review);
}

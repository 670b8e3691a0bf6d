//! Rules about the process's end: nothing outlasts the drain.

use crate::config::{file::shutdown::Shutdown, path::Path, validate::Review};

pub(crate) fn review(shutdown: &Shutdown, review: &mut Review<'_>) {
    let (path, drain) = (Path::default().key("shutdown"), ("drain", &shutdown.drain));
    review.ordered(&path, ("idle", &shutdown.idle), drain, "longer");
    review.ordered(&path, ("websocket_grace", &shutdown.websocket_grace), drain, "longer");
}

//! Rules about what is kept of the past.

use crate::config::{
    file::history::History,
    path::Path,
    problem::Code,
    units::{leaf::Leaf as _, size::Size},
    validate::Review,
};

/// Smallest file that is worth it: some days of one busy pool.
const SIZE_MIN: Size = Size::mebibytes(16);

pub(crate) fn review(history: &History, review: &mut Review<'_>) {
    let path = Path::default().key("history");
    let (size, file, persist) = (path.key("max_size"), path.key("file"), path.key("persist"));
    if history.max_size < SIZE_MIN && review.is_sound(&[&size]) {
        let message = format!("`{}` is too small for a history", history.max_size.write());
        let remedy = format!("write `{}` or more", SIZE_MIN.write());
        review.report(Code::Contradiction, &size, message, remedy);
    }
    if !history.persist && history.file.is_some() && review.is_sound(&[&file, &persist]) {
        let message = "nothing is written to it, since `persist` is false";
        review.report(Code::NoEffect, &file, message, "remove `file`, or `persist`");
    }
}

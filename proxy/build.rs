//! Makes sure that the crate is rebuilt when the page was, and that it builds without the page.

use std::{env, fs, path::Path};

fn main() {
    let Ok(here) = env::var("CARGO_MANIFEST_DIR") else { return };
    let page = Path::new(&here).join("../dashboard/dist");
    // Cargo takes a watched folder that is missing for one that changed, and would rebuild the
    // crate each time; an empty one costs nothing. Where it cannot be made, that is no error: the
    // crate builds without.
    _ = fs::create_dir_all(&page);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", page.display());
}

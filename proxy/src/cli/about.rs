//! Commands about the program itself: completions, manual pages, version.

use std::{fs, path::Path};

use clap_complete::Shell;
use serde_json::json;

use crate::cli::{
    arguments::command,
    failure::{Exit, Failure},
    sidecar::Format,
};

/// The source that was built, where whoever built it has said so.
const REVISION: Option<&str> = option_env!("BASCULE_REVISION");

/// Returns the script that completes commands in `shell`.
pub(crate) fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "bascule", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Returns the manual page of the program as a whole.
pub(crate) fn manual() -> Result<String, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command()).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// Writes a page for each command into `folder`, which is made if need be.
pub(crate) fn write_manuals(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command().disable_help_subcommand(true), folder))
        .map_err(|error| {
            let message = format!("cannot write manual pages to {}: {error}", folder.display());
            Failure::new(Exit::No, message, "")
        })
}

/// Returns which program this is.
pub(crate) fn version(format: Format) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    match format {
        Format::Text => {
            let revision = REVISION.map_or_else(String::new, |it| format!(" ({it})"));
            format!("bascule {version}{revision} {os}/{arch}\n")
        }
        Format::Json => {
            let version = json!({ "schema": 1, "version": version, "revision": REVISION, "os": os, "arch": arch });
            format!("{version}\n")
        }
    }
}

//! `bascule check` and `bascule explain`: what is wrong with a configuration, and what its words mean.

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::{
    app,
    cli::{console::Console, failure::Exit, print, say, text::Styling},
    config::{
        self, Loaded, Rejection, Scope,
        findings::{self, Findings, Style},
    },
    forecast::Forecast,
    model::Topology,
};

/// What is checked, and how it is told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Configurations, each a file, a folder of files, or `-` for standard input
    #[arg(value_name = "FILE", required_unless_present = "config")]
    files: Vec<PathBuf>,
    /// A file, or a folder of files, of one configuration; may be given several times
    #[arg(short, long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Look only at the files, not at what this machine has: ports, certificates, secrets, names
    #[arg(long)]
    no_env: bool,
    /// Say how failures would go: how soon they are found, how long clients wait, what is rescued;
    /// and warn of traps
    #[arg(long)]
    explain: bool,
    /// Let warnings fail, too
    #[arg(long)]
    strict: bool,
    /// How findings are written; all but text go to standard output
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// Commands to GitHub's workflows
    Github,
    /// SARIF 2.1.0, for code hosts and editors
    Sarif,
}

/// One configuration that was checked.
struct Checked {
    outcome: Result<Loaded, Rejection>,
    /// What only shows when everything is set up.
    fault: Option<String>,
    forecast: Option<Forecast>,
}

impl Checked {
    fn findings(&self) -> &Findings {
        match &self.outcome {
            Ok(loaded) => &loaded.findings,
            Err(rejection) => &rejection.findings,
        }
    }

    fn is_accepted(&self, is_strict: bool) -> bool {
        self.fault.is_none() && self.findings().is_accepted(is_strict)
    }
}

/// Checks what was asked for and tells what was found.
pub(crate) fn run(options: &Options, console: Console) -> ExitCode {
    let scope = if options.no_env { Scope::Files } else { Scope::Machine };
    let mut all: Vec<Checked> =
        options.files.iter().map(|file| check(std::slice::from_ref(file), scope)).collect();
    if !options.config.is_empty() {
        all.push(check(&options.config, scope));
    }
    if options.explain {
        for checked in &mut all {
            checked.forecast = checked.outcome.as_mut().ok().map(Loaded::forecast);
        }
    }
    match options.format {
        Format::Text => all.iter().for_each(|it| tell(it, console)),
        Format::Json => print(&format!("{:#}\n", document(&all, options.strict))),
        Format::Github => all.iter().for_each(|it| print(&it.findings().github())),
        Format::Sarif => {
            let found: Vec<Findings> = all.iter().map(|it| it.findings().clone()).collect();
            print(&format!("{:#}\n", findings::sarif(&found)));
        }
    }
    if options.format != Format::Text {
        for fault in all.iter().filter_map(|it| it.fault.as_ref()) {
            say(&mut io::stderr(), &format!("error: {fault}"));
        }
    }
    if all.iter().all(|it| it.is_accepted(options.strict)) {
        ExitCode::SUCCESS
    } else {
        Exit::No.into()
    }
}

/// Explains a key or a code.
pub(crate) fn explain(asked: &str) -> ExitCode {
    match config::explain(asked) {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&mut io::stderr(), &format!("error: {error}"));
            Exit::No.into()
        }
    }
}

/// Returns how reports on standard error look.
pub(crate) fn style(console: Console) -> Style {
    match console.error_styling() {
        Styling::Ansi => Style::Coloured,
        Styling::None => Style::Plain,
    }
}

fn check(paths: &[PathBuf], scope: Scope) -> Checked {
    let outcome = config::check_all(paths, scope);
    let fault = match &outcome {
        Ok(loaded) if scope == Scope::Machine => {
            app::review(&loaded.topology).err().map(|it| it.to_string())
        }
        Ok(_) | Err(_) => None,
    };
    Checked { outcome, fault, forecast: None }
}

fn tell(checked: &Checked, console: Console) {
    let findings = checked.findings();
    say(&mut io::stderr(), &findings.text(style(console)));
    if let Some(fault) = &checked.fault {
        say(&mut io::stderr(), &format!("{}: error: {fault}", findings.name()));
    } else if let Ok(loaded) = &checked.outcome {
        print(&format!("{}: ok, {}\n", findings.name(), summary(&loaded.topology)));
    }
    if let Some(forecast) = &checked.forecast {
        print(&format!("\n{forecast}"));
    }
}

fn document(all: &[Checked], is_strict: bool) -> Value {
    let one = |checked: &Checked| {
        let mut value = checked.findings().json();
        value["is_accepted"] = checked.is_accepted(is_strict).into();
        if let Some(forecast) = &checked.forecast {
            value["forecast"] = forecast.json();
        }
        if let Some(fault) = &checked.fault {
            value["fault"] = fault.as_str().into();
        }
        value
    };
    json!({
        "schema": 1,
        "is_accepted": all.iter().all(|it| it.is_accepted(is_strict)),
        "configurations": all.iter().map(one).collect::<Vec<_>>(),
    })
}

fn summary(topology: &Topology) -> String {
    let backends: usize = topology.pools.iter().map(|pool| pool.backends.len()).sum();
    let (listeners, routes, pools) =
        (topology.listeners.len(), topology.routes.len(), topology.pools.len());
    format!("listeners: {listeners}, routes: {routes}, pools: {pools}, backends: {backends}")
}

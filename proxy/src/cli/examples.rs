//! Examples for every command. They are part of the help, the manual pages and the reference, and a
//! test holds each to the parser.

use clap::Command;

/// A command, by its path, with what it does and how it is typed.
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "",
        &[
            ("bascule demo", "see a failover"),
            ("bascule proxy http://127.0.0.1:3001 http://127.0.0.1:3002", "no file needed"),
            ("bascule run -c bascule.yaml", "for real"),
            ("bascule status", "how is it?"),
        ],
    ),
    (
        "run",
        &[
            ("bascule run -c /etc/bascule/bascule.yaml", "until it is told to stop"),
            ("bascule run -c - < bascule.yaml", "the file from standard input"),
            ("BASCULE_CONFIG=bascule.yaml bascule run --threads 4", "four worker threads"),
        ],
    ),
    (
        "proxy",
        &[
            (
                "bascule proxy http://127.0.0.1:3001 http://127.0.0.1:3002",
                "a backend and its backup",
            ),
            ("bascule proxy http://10.0.0.7:80 --listen 0.0.0.0:8080", "for other machines"),
        ],
    ),
    (
        "demo",
        &[
            ("bascule demo", "page on port 3000, proxy on 8021, sidecar on 9901"),
            ("bascule demo --load 200", "with 200 requests a second"),
        ],
    ),
    (
        "check",
        &[
            ("bascule check bascule.yaml", "everything, for this machine"),
            ("bascule check --no-env --strict a.yaml b.yaml", "two, wherever they will run"),
            ("bascule check -c base.yaml -c pools.d", "several files that are one configuration"),
            ("bascule check --explain bascule.yaml", "and how failures would go"),
            ("bascule check --format github bascule.yaml", "marks on a pull request's lines"),
        ],
    ),
    (
        "explain",
        &[
            ("bascule explain pools.*.health_check.interval", "a key"),
            ("bascule explain health_check.interval", "as much of its end as tells it apart"),
            ("bascule explain B0103", "a code that `bascule check` printed"),
        ],
    ),
    (
        "status",
        &[
            ("bascule status", "the verdict, every pool, every backend"),
            ("bascule status --watch", "the same, again and again"),
            ("bascule status --ready -q", "for health checks: the exit code answers"),
            ("bascule status api --format json", "one pool, for programs"),
        ],
    ),
    (
        "top",
        &[
            ("bascule top", "every backend; `q` leaves"),
            ("bascule top api --sort p99", "one pool, the slowest first"),
            ("bascule top --once --format json", "for programs"),
        ],
    ),
    (
        "logs",
        &[
            ("bascule logs -f", "follow, also through a restart"),
            ("bascule logs --level warn -n 20", "the last twenty that are worth a look"),
            ("bascule logs -f --backend a --grep refused", "about one backend"),
        ],
    ),
    (
        "incidents",
        &[
            ("bascule incidents", "every failover, newest first"),
            ("bascule incidents last", "the story of the newest"),
            ("bascule incidents api-7 --follow", "until it is closed"),
        ],
    ),
    (
        "backend list",
        &[("bascule backend list", "of all pools"), ("bascule backend list api", "of one")],
    ),
    (
        "backend drain",
        &[
            ("bascule backend drain a --wait 30s", "return when nothing is in flight"),
            ("bascule backend drain api/a --expect intent=enabled", "unless somebody was faster"),
        ],
    ),
    ("backend undrain", &[("bascule backend undrain a", "send requests again")]),
    ("backend disable", &[("bascule backend disable a --wait 30s", "for maintenance")]),
    ("backend enable", &[("bascule backend enable a --wait 30s", "return when it is eligible")]),
    ("backend eject", &[("bascule backend eject a --for 5m", "out for five minutes")]),
    ("backend readmit", &[("bascule backend readmit a", "on probation")]),
    (
        "backend weight",
        &[
            ("bascule backend weight a 50", "half of what 100 gets"),
            ("bascule backend weight a 0", "a spare: nothing, while another of its tier can serve"),
        ],
    ),
    (
        "failover",
        &[
            ("bascule failover api", "to the next tier that can serve"),
            ("bascule failover api --to 'tier 1' --expect active=a --wait 10s", "and nothing else"),
        ],
    ),
    ("failback", &[("bascule failback api --wait 30s", "return when the traffic is back")]),
    (
        "fault inject",
        &[
            ("bascule fault inject a --mode hang", "it takes requests and never answers"),
            ("bascule fault inject a --mode error --status 503 --percent 30 --for 1m", "some fail"),
            ("bascule fault inject a --mode slow --delay 100ms..2s", "it answers late"),
        ],
    ),
    ("fault list", &[("bascule fault list", "those under way")]),
    ("fault end", &[("bascule fault end a", "of one backend"), ("bascule fault end", "of all")]),
    ("recover", &[("bascule recover", "every backend")]),
    (
        "reload",
        &[
            ("bascule reload --dry-run", "what would change?"),
            ("bascule reload --expect generation=3", "unless somebody was faster"),
        ],
    ),
    (
        "config show",
        &[
            ("bascule config show", "what the proxy runs with"),
            ("bascule config show --effective bascule.yaml", "and where each value comes from"),
            ("bascule config show --diff bascule.yaml", "what a reload would change"),
        ],
    ),
    ("drain", &[("bascule drain --self --wait 10s", "before the process is stopped")]),
    ("undrain", &[("bascule undrain --self", "it is not stopped after all")]),
    ("upgrade", &[("bascule upgrade --wait 30s", "after a new version was installed")]),
    (
        "log-level",
        &[
            ("bascule log-level", "the present one"),
            ("bascule log-level debug --for 10m", "and back by itself"),
        ],
    ),
    ("audit", &[("bascule audit -n 10", "the last ten changes")]),
    ("whoami", &[("bascule whoami --token-file token", "is it the right token?")]),
    ("token new", &[("bascule token new --out /etc/bascule/token", "for `admin.token_file`")]),
    (
        "dashboard",
        &[(
            "bascule dashboard --admin http://10.0.0.7:9901 --token-file token",
            "the page on port 3000",
        )],
    ),
    (
        "graph",
        &[
            ("bascule graph bascule.yaml", "a tree"),
            ("bascule graph bascule.yaml --format dot | dot -Tsvg > graph.svg", "a picture"),
        ],
    ),
    ("schema", &[("bascule schema > schema.json", "for editors")]),
    (
        "completions",
        &[
            ("bascule completions bash > /etc/bash_completion.d/bascule", "for everybody"),
            ("source <(bascule completions zsh)", "for this shell"),
        ],
    ),
    (
        "man",
        &[
            ("bascule man | man -l -", "read it"),
            ("bascule man --out /usr/local/share/man/man1", "install them"),
        ],
    ),
    ("version", &[("bascule version --format json", "for programs")]),
];

/// Adds to each command its examples.
pub(crate) fn add(command: Command) -> Command {
    add_below(command, "")
}

fn add_below(mut command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|it| it.get_name().to_owned()).collect();
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        command = command.mut_subcommand(&name, |it| add_below(it, &path));
    }
    match text_of(path) {
        Some(text) => command.after_help(text),
        None => command,
    }
}

/// Returns the examples of a command, as its help shows them.
fn text_of(path: &str) -> Option<String> {
    let (_, examples) = EXAMPLES.iter().find(|(known, _)| *known == path)?;
    let widest = examples.iter().map(|(typed, _)| typed.len()).max().unwrap_or(0);
    let mut text = "Examples:".to_owned();
    for (typed, meaning) in *examples {
        text.push_str(&format!("\n  {typed:widest$}  # {meaning}"));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::arguments::{Arguments, command};

    fn leaves(command: &Command, path: &str, found: &mut Vec<String>) {
        for sub in command.get_subcommands() {
            let path = format!("{path} {}", sub.get_name()).trim().to_owned();
            if sub.has_subcommands() {
                leaves(sub, &path, found);
            } else {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_command_has_examples_and_no_others_have() {
        let mut commands = vec![String::new()];
        leaves(&command(), "", &mut commands);
        let mut known: Vec<String> = EXAMPLES.iter().map(|(path, _)| (*path).to_owned()).collect();
        commands.sort();
        known.sort();
        assert_eq!(known, commands);
    }

    #[test]
    fn every_example_is_understood_as_its_command() {
        for (path, examples) in EXAMPLES {
            for (typed, _) in *examples {
                // What a shell makes of it, as far as examples need one.
                let typed = typed.trim_start_matches("source <(").trim_end_matches(')');
                let typed = typed.split(['|', '<', '>']).next().unwrap();
                let words = typed.split('\'').enumerate().flat_map(|(at, part)| {
                    let is_quoted = at % 2 == 1;
                    let words: Vec<&str> =
                        if is_quoted { vec![part] } else { part.split_whitespace().collect() };
                    words
                });
                let words: Vec<&str> = words.skip_while(|word| word.contains('=')).collect();
                assert!(words[1..].join(" ").starts_with(path), "{typed}");
                let words = words.iter().map(|word| (*word).to_owned());
                let mut words: Vec<String> = words.collect();
                if typed.contains("BASCULE_CONFIG") {
                    words.extend(["-c".to_owned(), "x".to_owned()]);
                }
                Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{typed}: {error}"));
            }
        }
    }
}

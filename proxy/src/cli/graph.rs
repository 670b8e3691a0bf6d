//! `bascule graph`: which listener leads by which route to which pool, tier and backend.

use std::fmt::Write;

use clap::ValueEnum;

use crate::model::{Destination, HostMatch, Match, PathMatch, Pool, PoolId, Route, Topology};

/// How a graph is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// A tree for people
    #[default]
    Text,
    /// For Graphviz: `bascule graph FILE --format dot | dot -Tsvg`
    Dot,
    /// For Markdown that is shown by GitHub and others
    Mermaid,
}

/// Returns the graph of `topology`, with an end of line.
pub(crate) fn write(topology: &Topology, language: Language) -> String {
    match language {
        Language::Text => tree(topology),
        Language::Dot => dot(&Graph::of(topology)),
        Language::Mermaid => mermaid(&Graph::of(topology)),
    }
}

fn tree(topology: &Topology) -> String {
    let mut text = String::new();
    for (at, listener) in topology.listeners.iter().enumerate() {
        let tls = if listener.tls.is_some() { ", TLS" } else { "" };
        line(&mut text, 0, &format!("listener {} ({}{tls})", listener.name, listener.address));
        for route in topology.routes.iter().filter(|route| serves(route, at)) {
            let to: Vec<String> = destinations(topology, route)
                .into_iter()
                .map(|to| match to.share {
                    Some(share) => format!("{} ({share})", to.name),
                    None => to.name,
                })
                .collect();
            let conditions = conditions(&route.matches);
            line(&mut text, 1, &format!("route {}: {conditions} -> {}", route.name, to.join(", ")));
        }
    }
    for pool in &topology.pools {
        line(&mut text, 0, &format!("pool {}", pool.name));
        for tier in 0..pool.tier_count() {
            line(&mut text, 1, &format!("tier {tier}"));
            for backend in pool.backends.iter().filter(|it| it.tier == tier) {
                let (name, url, weight) = (&backend.name, &backend.url, backend.weight);
                line(&mut text, 2, &format!("{name}  {url}  weight {weight}"));
            }
        }
    }
    text
}

fn line(text: &mut String, depth: usize, content: &str) {
    // Writing to a string does not fail.
    _ = writeln!(text, "{}{content}", "  ".repeat(depth));
}

/// Tells whether requests of a listener, an index, can take the route.
fn serves(route: &Route, listener: usize) -> bool {
    route.matches.listeners.is_empty() || route.matches.listeners.contains(&listener)
}

/// Where a route leads, and how much of it goes there.
struct Leads {
    name: String,
    pool: Option<PoolId>,
    share: Option<String>,
}

fn destinations(topology: &Topology, route: &Route) -> Vec<Leads> {
    let pool = |id: PoolId, share: Option<String>| Leads {
        name: format!("pool {}", topology.pool(id).name),
        pool: Some(id),
        share,
    };
    let other = |name: String| vec![Leads { name, pool: None, share: None }];
    let mut leads = match &route.destination {
        Destination::Pool(id) => vec![pool(*id, None)],
        Destination::Split(split) => {
            let all: u32 = split.parts.iter().map(|(_, weight)| weight).sum();
            let share = |weight: u32| Some(format!("{weight} of {all}"));
            split.parts.iter().map(|(id, weight)| pool(*id, share(*weight))).collect()
        }
        Destination::Sidecar => other("sidecar".to_owned()),
        Destination::Redirect(redirect) => other(format!("redirect {}", redirect.status)),
        Destination::Respond(response) => other(format!("response {}", response.status)),
    };
    if let Some(mirror) = &route.mirror {
        leads.push(pool(mirror.pool, Some(format!("copies of {:.0} %", mirror.share * 100.0))));
    }
    leads
}

/// What a request must look like, in short.
fn conditions(matches: &Match) -> String {
    let hosts = matches.hosts.iter().map(|host| match host {
        HostMatch::Exact(host) => host.clone(),
        HostMatch::Below(host) => format!("*.{host}"),
    });
    let hosts = hosts.collect::<Vec<_>>().join("|");
    let path = match &matches.path {
        None => "*".to_owned(),
        Some(PathMatch::Exact(path)) => path.clone(),
        Some(PathMatch::Prefix(path)) => format!("{}/*", path.trim_end_matches('/')),
        Some(PathMatch::Pattern(pattern)) => format!("~{}", pattern.as_str()),
    };
    let mut text = format!("{hosts}{path}");
    if !matches.methods.is_empty() {
        text = format!("{} {text}", matches.methods.join("|"));
    }
    for (name, _) in &matches.headers {
        text.push_str(&format!(" [{name}]"));
    }
    for (name, _) in &matches.query {
        text.push_str(&format!(" [?{name}]"));
    }
    text
}

/// Boxes and arrows.
#[derive(Default)]
struct Graph {
    /// Each with its name for the arrows, and what it says.
    boxes: Vec<(String, String)>,
    /// From, to, and what is said on the way.
    arrows: Vec<(String, String, String)>,
}

impl Graph {
    fn of(topology: &Topology) -> Self {
        let mut graph = Self::default();
        for (at, listener) in topology.listeners.iter().enumerate() {
            let label = format!("listener {}\n{}", listener.name, listener.address);
            graph.boxes.push((format!("listener{at}"), label));
        }
        for (at, route) in topology.routes.iter().enumerate() {
            let id = format!("route{at}");
            let label = format!("route {}\n{}", route.name, conditions(&route.matches));
            graph.boxes.push((id.clone(), label));
            for listener in 0..topology.listeners.len() {
                if serves(route, listener) {
                    graph.arrow(format!("listener{listener}"), &id, "");
                }
            }
            for (nth, leads) in destinations(topology, route).into_iter().enumerate() {
                let share = leads.share.unwrap_or_default();
                match leads.pool {
                    Some(PoolId(pool)) => graph.arrow(id.clone(), &format!("pool{pool}"), &share),
                    None => {
                        let end = format!("{id}end{nth}");
                        graph.boxes.push((end.clone(), leads.name));
                        graph.arrow(id.clone(), &end, &share);
                    }
                }
            }
        }
        for (at, pool) in topology.pools.iter().enumerate() {
            graph.add_pool(at, pool);
        }
        graph
    }

    fn add_pool(&mut self, at: usize, pool: &Pool) {
        self.boxes.push((format!("pool{at}"), format!("pool {}", pool.name)));
        for tier in 0..pool.tier_count() {
            let id = format!("pool{at}tier{tier}");
            self.boxes.push((id.clone(), format!("tier {tier}")));
            self.arrow(format!("pool{at}"), &id, "");
        }
        for (nth, backend) in pool.backends.iter().enumerate() {
            let id = format!("pool{at}backend{nth}");
            self.boxes.push((id.clone(), format!("{}\n{}", backend.name, backend.url)));
            let weight = format!("weight {}", backend.weight);
            self.arrow(format!("pool{at}tier{}", backend.tier), &id, &weight);
        }
    }

    fn arrow(&mut self, from: String, to: &str, label: &str) {
        self.arrows.push((from, to.to_owned(), label.to_owned()));
    }
}

fn dot(graph: &Graph) -> String {
    let quoted = |text: &str| {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("\"{text}\"")
    };
    let mut text = "digraph bascule {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
    for (id, label) in &graph.boxes {
        line(&mut text, 1, &format!("{id} [label={}];", quoted(label)));
    }
    for (from, to, label) in &graph.arrows {
        let label =
            if label.is_empty() { String::new() } else { format!(" [label={}]", quoted(label)) };
        line(&mut text, 1, &format!("{from} -> {to}{label};"));
    }
    text.push_str("}\n");
    text
}

fn mermaid(graph: &Graph) -> String {
    let quoted = |text: &str| {
        let text = text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
        format!("\"{}\"", text.replace('\n', "<br>"))
    };
    let mut text = "flowchart LR\n".to_owned();
    for (id, label) in &graph.boxes {
        line(&mut text, 1, &format!("{id}[{}]", quoted(label)));
    }
    for (from, to, label) in &graph.arrows {
        let label = if label.is_empty() { String::new() } else { format!("|{}|", quoted(label)) };
        line(&mut text, 1, &format!("{from} -->{label} {to}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    const CONFIG: &str = r#"
version: 1
listeners:
  public: { address: "127.0.0.1:8021" }
routes:
  - { name: web, match: { hosts: [www.example.com], path_prefix: /shop }, pool: web }
  - { name: rest, pool: api }
pools:
  api:
    backends:
      - { name: a, url: "http://127.0.0.1:3001" }
      - { name: b, url: "http://127.0.0.1:3002", tier: 1 }
  web:
    backends: [{ name: w, url: "http://127.0.0.1:3003", weight: 7 }]
"#;

    fn written(language: Language) -> String {
        let loaded = config::parse("test", CONFIG, Path::new(".")).unwrap();
        write(&loaded.topology, language)
    }

    #[test]
    fn the_tree_leads_from_listeners_to_backends() {
        let expected = "\
listener public (127.0.0.1:8021)
  route web: www.example.com/shop/* -> pool web
  route rest: * -> pool api
pool api
  tier 0
    a  http://127.0.0.1:3001  weight 100
  tier 1
    b  http://127.0.0.1:3002  weight 100
pool web
  tier 0
    w  http://127.0.0.1:3003  weight 7
";
        assert_eq!(written(Language::Text), expected);
    }

    #[test]
    fn every_arrow_joins_boxes_that_there_are() {
        let loaded = config::parse("test", CONFIG, Path::new(".")).unwrap();
        let graph = Graph::of(&loaded.topology);
        let is_box = |id: &String| graph.boxes.iter().any(|(known, _)| known == id);
        assert!(graph.arrows.iter().all(|(from, to, _)| is_box(from) && is_box(to)));
        assert_eq!((graph.boxes.len(), graph.arrows.len()), (11, 10));
    }

    #[test]
    fn labels_are_quoted() {
        let graph = Graph {
            boxes: vec![("x".to_owned(), "a \"b\"\nc <d>".to_owned())],
            arrows: vec![("x".to_owned(), "x".to_owned(), "e".to_owned())],
        };
        assert!(dot(&graph).contains(r#"x [label="a \"b\"\nc <d>"];"#));
        assert!(mermaid(&graph).contains("x[\"a &quot;b&quot;<br>c &lt;d>\"]"));
        assert!(mermaid(&graph).contains("x -->|\"e\"| x"));
    }
}

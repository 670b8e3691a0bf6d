//! What the program says of itself, and of files.

use std::{fs, path::Path, process::Stdio};

use tokio::io::AsyncWriteExt;

use crate::fake::{program, ran};

fn config(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").join(name).display().to_string()
}

#[tokio::test]
async fn completions_are_there_for_every_shell() {
    for (shell, word) in
        [("bash", "complete -F"), ("zsh", "#compdef bascule"), ("fish", "complete -c")]
    {
        let ran = ran(&mut program(&["completions", shell])).await;
        assert_eq!((ran.code, ran.error.as_str()), (Some(0), ""));
        assert!(ran.out.contains(word) && ran.out.contains("failback"), "{shell}");
    }
}

#[tokio::test]
async fn manual_pages_are_written_for_every_command() {
    let page = ran(&mut program(&["man"])).await;
    assert!(page.code == Some(0) && page.out.contains(".TH bascule 1"), "{page:?}");
    let folder = std::env::temp_dir().join(format!("bascule-man-{}", std::process::id()));
    let written = ran(&mut program(&["man", "--out", folder.to_str().unwrap()])).await;
    assert_eq!((written.code, written.out.as_str(), written.error.as_str()), (Some(0), "", ""));
    for name in ["bascule.1", "bascule-status.1", "bascule-backend-drain.1"] {
        let page = fs::read_to_string(folder.join(name)).unwrap();
        assert!(page.contains("Examples:"), "{name}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_graph_is_drawn_from_a_file_or_from_standard_input() {
    let file = config("examples/two-tiers.yaml");
    let tree = ran(&mut program(&["graph", &file])).await;
    assert!(tree.code == Some(0) && tree.out.starts_with("listener "), "{tree:?}");
    let dot = ran(&mut program(&["graph", &file, "--format", "dot"])).await;
    assert!(dot.out.starts_with("digraph bascule {") && dot.out.ends_with("}\n"), "{dot:?}");
    let mut child =
        program(&["graph", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&fs::read(&file).unwrap()).await.unwrap();
    drop(input);
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), tree.out);
    let broken = ran(&mut program(&["graph", &config("invalid/five-mistakes.yaml")])).await;
    assert!(broken.code == Some(1) && broken.error.contains("error["), "{broken:?}");
}

#[tokio::test]
async fn an_effective_configuration_has_every_default_and_says_where_values_come_from() {
    let file = config("examples/minimal.yaml");
    let shown = ran(&mut program(&["config", "show", "--effective", &file])).await;
    assert_eq!((shown.code, shown.error.as_str()), (Some(0), ""));
    assert!(shown.out.contains("version: 1") && shown.out.contains("default"), "{}", shown.out);
    assert!(shown.out.contains("slow_start"), "{}", shown.out);
    let json =
        ran(&mut program(&["config", "show", "--effective", "--format", "json", &file])).await;
    assert_eq!(
        (json.json()["schema"].as_u64(), json.json()["config"]["version"].as_u64()),
        (Some(1), Some(1))
    );
    assert_eq!(ran(&mut program(&["config", "show", "--effective"])).await.code, Some(2));
}

#[tokio::test]
async fn help_has_examples_and_names_the_variables() {
    let help = ran(&mut program(&["status", "--help"])).await;
    assert_eq!((help.code, help.error.as_str()), (Some(0), ""));
    for part in ["Examples:", "BASCULE_ADMIN", "BASCULE_TOKEN_FILE", "BASCULE_FORMAT"] {
        assert!(help.out.contains(part), "{part}: {}", help.out);
    }
    let version = ran(&mut program(&["version"])).await;
    assert!(version.out.starts_with(concat!("bascule ", env!("CARGO_PKG_VERSION"))), "{version:?}");
}

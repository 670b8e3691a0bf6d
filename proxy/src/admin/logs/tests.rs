use super::*;
use crate::admin::wire::topology_for_tests;

fn message(text: &str) -> Result<Filter, HttpError> {
    filter_of_message(&topology_for_tests(), text)
}

#[test]
fn a_message_replaces_the_whole_filter() {
    let check = |text: &str, expected: Filter| assert_eq!(message(text), Ok(expected), "{text}");
    check(r#"{"type":"filter"}"#, Filter::new(Level::Info, None, None));
    check(
        r#"{"type":"filter","level":"warn","text":"Abc","pool":"api"}"#,
        Filter::new(Level::Warn, Some("abc"), Some("api")),
    );
    check(
        r#"{"type":"filter","level":"debug","text":null,"pool":null}"#,
        Filter::new(Level::Debug, None, None),
    );
}

#[test]
fn a_message_that_is_no_filter_is_refused_with_what_it_should_be() {
    for text in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"level":"warn"}"#,
        r#"{"type":"subscribe"}"#,
        r#"{"type":"filter","levle":"warn"}"#,
        r#"{"type":"filter","level":3}"#,
    ] {
        assert_eq!(message(text).unwrap_err().code, "malformed_message", "{text}");
    }
    let error = message(r#"{"type":"filter","level":"loud"}"#).unwrap_err();
    assert_eq!(error.message, "`level` is `loud`");
    let error = message(r#"{"type":"filter","pool":"nope"}"#).unwrap_err();
    assert_eq!(error.message, "there is no pool `nope`");
    let long = format!(r#"{{"type":"filter","text":"{}"}}"#, "x".repeat(201));
    assert_eq!(message(&long).unwrap_err().message, "`text` is too long");
}

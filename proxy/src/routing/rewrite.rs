//! Rewriting: the path that the backend sees.

use crate::{model::Rewrite, routing::path};

/// Returns `path_and_query` with its path changed as `rewrite` says.
///
/// The query stays, and what stays of the path keeps its spelling: nothing is decoded or encoded.
/// A path that begins with `/` still does afterwards. Stripping leaves exactly one slash or
/// backslash at the start: what remained of `/v1//host/` would otherwise begin with `//host/`,
/// and a backend that redirects to "the same path" would send its visitors to another site. A
/// path that the prefix or the pattern does not fit is left as it is, and so is one of which the
/// template would make a path that may climb: no part of it did when the route was chosen.
pub fn rewrite(path_and_query: &str, rewrite: &Rewrite) -> String {
    let query_at = path_and_query.find('?').unwrap_or(path_and_query.len());
    let (old, query) = path_and_query.split_at(query_at);
    match rewrite {
        Rewrite::Path(new) => format!("{new}{query}"),
        Rewrite::StripPrefix(prefix) => match path::below(prefix, old) {
            Some(rest) => format!("/{}{query}", rest.trim_start_matches(['/', '\\'])),
            None => path_and_query.to_owned(),
        },
        Rewrite::Pattern { pattern, template } => {
            let new = pattern.expand(old, template).filter(|new| !path::climbs(new));
            match new {
                Some(new) => format!("/{}{query}", new.trim_start_matches(['/', '\\'])),
                None => path_and_query.to_owned(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Pattern;

    fn check_strip(prefix: &str, before: &str, after: &str) {
        assert_eq!(rewrite(before, &Rewrite::StripPrefix(prefix.to_owned())), after);
    }

    #[test]
    fn a_replaced_path_keeps_the_query() {
        let to = Rewrite::Path("/api/data".to_owned());
        assert_eq!(rewrite("/proxy/data", &to), "/api/data");
        assert_eq!(rewrite("/proxy/data?a=1&b=/x?y", &to), "/api/data?a=1&b=/x?y");
        assert_eq!(rewrite("/proxy/data?", &to), "/api/data?");
    }

    #[test]
    fn a_stripped_path_begins_with_a_slash() {
        check_strip("/v1", "/v1", "/");
        check_strip("/v1", "/v1?x=1", "/?x=1");
        check_strip("/v1", "/v1/users?x=1", "/users?x=1");
        check_strip("/v1/", "/v1/users", "/users");
        check_strip("/", "/users", "/users");
    }

    #[test]
    fn a_prefix_that_does_not_fit_is_not_stripped() {
        check_strip("/v1", "/v1x/users", "/v1x/users");
        check_strip("/v1", "/v2?/v1/", "/v2?/v1/");
        check_strip("/v1", "*", "*");
    }

    #[test]
    fn a_pattern_puts_its_groups_into_the_new_path() {
        let to = |pattern: &str, template: &str| Rewrite::Pattern {
            pattern: Pattern::new(pattern).unwrap(),
            template: template.to_owned(),
        };
        let users = to("/users/([^/]+)(/.*)?", "/u/$1$2");
        assert_eq!(rewrite("/users/7?a=$1", &users), "/u/7?a=$1");
        assert_eq!(rewrite("/users/7/x%2Fy", &users), "/u/7/x%2Fy");
        assert_eq!(rewrite("/v1/users/7", &users), "/v1/users/7");
        assert_eq!(rewrite("*", &users), "*");
        let bare = to("/x(.*)", "/$1");
        assert_eq!(rewrite("/x//evil.example", &bare), "/evil.example");
        assert_eq!(rewrite("/x", &bare), "/");
        let joined = to("/([^/]*)/([^/]*)/(.*)", "/$1$2/$3");
        assert_eq!(rewrite("/a/b/c", &joined), "/ab/c");
        assert_eq!(rewrite("/././c", &joined), "/././c");
    }

    #[test]
    fn stripping_makes_no_path_that_looks_like_a_host() {
        check_strip("/v1", "/v1//evil.example", "/evil.example");
        check_strip("/v1/", "/v1//evil.example", "/evil.example");
        check_strip("/v1", "/v1/\\evil.example", "/evil.example");
        check_strip("/v1", "/v1/\\/\\", "/");
    }

    #[test]
    fn percent_encoding_is_not_touched() {
        check_strip("/v1", "/v1/a%2Fb%20c%zz?q=%41", "/a%2Fb%20c%zz?q=%41");
    }

    proptest! {
        #[test]
        fn stripping_keeps_the_rest_to_the_letter(
            slashes in "/[/\\\\]{0,3}",
            rest in "[a-z%2.][a-z%2./]{0,12}",
            query in "(\\?[a-z/?=]{0,8})?",
        ) {
            let stripped = rewrite(
                &format!("/v1{slashes}{rest}{query}"),
                &Rewrite::StripPrefix("/v1".to_owned()),
            );
            prop_assert_eq!(stripped, format!("/{rest}{query}"));
        }

        #[test]
        fn a_path_still_begins_with_one_slash(path in "/v1[/\\\\a?]{0,6}") {
            let stripped = rewrite(&path, &Rewrite::StripPrefix("/v1".to_owned()));
            prop_assert!(stripped.starts_with('/'));
            prop_assert!(!stripped[1..].starts_with(['/', '\\']), "{}", stripped);
        }
    }
}

//! `${NAME}` and `${NAME:-otherwise}` in values: what the environment says.

use std::borrow::Cow;

use crate::config::units::Fault;

/// Looks a variable up.
pub(crate) type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Returns `text` with variables replaced; `$${` stands for `${`. What a variable contains is not
/// looked at again.
///
/// A variable that is not set, or set to nothing, takes what follows `:-`; without that, it must
/// be set.
pub(crate) fn expand<'t>(
    text: &'t str,
    environment: Environment<'_>,
) -> Result<Cow<'t, str>, Fault> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = reference.strip_prefix("${").unwrap_or_default();
            continue;
        }
        expanded.push_str(before);
        let inside = reference.strip_prefix("${").unwrap_or_default();
        let Some((inside, after)) = inside.split_once('}') else {
            return Err(Fault::new(
                "`${` without `}`",
                "close it: `${NAME}`, or write `$${` for the text `${`",
            ));
        };
        expanded.push_str(&value_of(inside, environment)?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(Cow::Owned(expanded))
}

/// Returns the variables that `text` refers to, in its order.
pub(crate) fn names(text: &str) -> Vec<String> {
    let looked_up = std::cell::RefCell::new(Vec::new());
    let note = |name: &str| {
        looked_up.borrow_mut().push(name.to_owned());
        Some(String::new())
    };
    // A malformed reference has been reported.
    _ = expand(text, &note);
    looked_up.into_inner()
}

fn value_of(inside: &str, environment: Environment<'_>) -> Result<String, Fault> {
    let (name, otherwise) = match inside.split_once(":-") {
        Some((name, otherwise)) => (name, Some(otherwise)),
        None => (inside, None),
    };
    let is_name = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if !is_name {
        return Err(Fault::new(
            format!("`${{{inside}}}` does not name a variable"),
            "write `${NAME}` or `${NAME:-otherwise}`, or `$${` for the text `${`",
        ));
    }
    match (environment(name), otherwise) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (Some(_) | None, Some(otherwise)) => Ok(otherwise.to_owned()),
        (None, None) => Err(Fault::new(
            format!("the environment variable `{name}` is not set"),
            format!("set it, or give a value for when it is not: `${{{name}:-…}}`"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let environment = |name: &str| match name {
            "PORT" => Some("3001".to_owned()),
            "TRICK" => Some("${PORT}".to_owned()),
            "BLANK" => Some(String::new()),
            _ => None,
        };
        let expanded = expand(text, &environment);
        let found = match &expanded {
            Ok(text) => Ok(text.as_ref()),
            Err(fault) => Err(fault.message.as_str()),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn variables_are_replaced_wherever_they_stand() {
        check("http://a:${PORT}/${PORT}", Ok("http://a:3001/3001"));
        check("no variables, $ and {}", Ok("no variables, $ and {}"));
    }

    #[test]
    fn what_is_not_set_takes_the_other_value_and_without_one_is_refused() {
        check("${HOST:-localhost}:${PORT:-1}", Ok("localhost:3001"));
        check("${BLANK:-x}", Ok("x"));
        check("${HOST:-}", Ok(""));
        check("${HOST}", Err("the environment variable `HOST` is not set"));
    }

    #[test]
    fn what_a_variable_contains_is_not_expanded_again() {
        check("${TRICK}", Ok("${PORT}"));
    }

    #[test]
    fn the_variables_of_a_text_are_named_in_order() {
        assert_eq!(names("$${NO} ${A:-${}${B}"), ["A", "B"]);
        assert_eq!(names("plain"), [""; 0]);
    }

    #[test]
    fn the_sign_itself_can_be_written() {
        check("$${PORT}", Ok("${PORT}"));
        check("$${a}${PORT}", Ok("${a}3001"));
    }

    #[test]
    fn a_malformed_reference_is_refused() {
        check("${PORT", Err("`${` without `}`"));
        check("${}", Err("`${}` does not name a variable"));
        check("${1a}", Err("`${1a}` does not name a variable"));
    }
}

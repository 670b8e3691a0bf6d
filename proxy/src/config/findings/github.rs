//! Problems as commands to GitHub's workflows.
//!
//! `::error file=a.yaml,line=1,col=2,title=B0103::message`; what would end a part is escaped by the
//! rules of the `@actions/core` toolkit.

use crate::config::problem::Problem;

/// Returns the command for one problem, with its line's end.
pub(crate) fn command(problem: &Problem) -> String {
    let mut properties = String::new();
    if let Some(location) = &problem.location {
        properties = format!(
            "file={},line={},endLine={},col={},endColumn={},",
            property(&location.file),
            location.line,
            location.end_line,
            location.column,
            location.end_column
        );
    }
    let (word, code) = (problem.severity().word(), problem.code.id());
    let message = data(&format!("{problem}\n{}", problem.remedy));
    format!("::{word} {properties}title={code}::{message}\n")
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::problem::Code;

    #[test]
    fn what_would_end_a_part_is_escaped() {
        assert_eq!(property("a:b,c%d"), "a%3Ab%2Cc%25d");
        let problem = Problem::new(Code::UnknownKey, "a", None, "50% of\nit", "none");
        let expected = "::error title=B0103::a: 50%25 of%0Ait%0Anone\n";
        assert_eq!(command(&problem), expected);
    }
}

//! Which form of an answer does the client want (RFC 9110 §12.5.1)?

use http::{HeaderMap, header::ACCEPT};

/// Ranges that are looked at. A client that lists more gets the default.
const MOST: usize = 64;

/// What the proxy's own answers can look like, the default first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `application/json`.
    Json,
    /// `application/problem+json` (RFC 9457).
    Problem,
    /// `text/plain`.
    Text,
}

impl Form {
    const ALL: [Self; 3] = [Self::Json, Self::Problem, Self::Text];

    /// Returns the one that the client likes best; of several, the first. If it likes none, JSON:
    /// an answer that it did not ask for tells it more than none.
    pub(crate) fn for_client(headers: &HeaderMap) -> Self {
        let mut best = (Self::Json, 0);
        for form in Self::ALL {
            let quality = form.quality(headers);
            if best.1 < quality {
                best = (form, quality);
            }
        }
        best.0
    }

    /// Returns how much the client likes this, up to a thousand: what the range says of it that
    /// names it most exactly.
    fn quality(self, headers: &HeaderMap) -> u32 {
        let lines = headers.get_all(ACCEPT).iter().filter_map(|it| it.to_str().ok());
        let ranges = lines.flat_map(|it| it.split(',')).take(MOST);
        let mut found = (0, 0);
        for range in ranges {
            let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
            let exactness = self.exactness(name.trim());
            if found.0 < exactness {
                found = (exactness, quality_of(parameters));
            }
        }
        found.1
    }

    /// Returns how exactly a range names this: 0 not at all, 3 to the letter.
    fn exactness(self, range: &str) -> u32 {
        let (name, kind) = match self {
            Self::Json => ("application/json", "application/*"),
            Self::Problem => ("application/problem+json", "application/*"),
            Self::Text => ("text/plain", "text/*"),
        };
        if range.eq_ignore_ascii_case(name) {
            3
        } else if range.eq_ignore_ascii_case(kind) {
            2
        } else {
            u32::from(range == "*/*")
        }
    }
}

/// Reads `q` among a range's parameters, in thousandths. What is malformed is not wanted.
fn quality_of(parameters: &str) -> u32 {
    let mut pairs = parameters.split(';').filter_map(|it| it.trim().split_once('='));
    let Some((_, value)) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("q")) else {
        return 1000;
    };
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let is_plain = fraction.len() <= 3 && fraction.bytes().all(|it| it.is_ascii_digit());
    match (whole, is_plain) {
        ("0", true) => format!("{fraction:0<3}").parse().unwrap_or(0),
        ("1", true) if fraction.bytes().all(|it| it == b'0') => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn form(accept: &str) -> Form {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        Form::for_client(&headers)
    }

    #[test]
    fn the_client_gets_what_it_likes_best_and_json_without_a_wish() {
        assert_eq!(Form::for_client(&HeaderMap::new()), Form::Json);
        for (accept, expected) in [
            ("", Form::Json),
            ("*/*", Form::Json),
            ("application/json", Form::Json),
            ("application/*", Form::Json),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Form::Json),
            ("image/png", Form::Json),
            ("text/plain", Form::Text),
            ("TEXT/Plain; q=1.000", Form::Text),
            ("text/*", Form::Text),
            ("text/*, */*;q=0.1", Form::Text),
            ("text/plain;q=0, text/*", Form::Json),
            ("text/plain;q=0.5, application/json;q=0.4", Form::Text),
            ("text/plain;q=0.4, application/json;q=0.5", Form::Json),
            ("text/plain;q=0.45, application/json;q=0.5", Form::Json),
            ("text/plain;charset=utf-8;q=0.9, application/json;q=0.1", Form::Text),
            ("application/problem+json", Form::Problem),
            ("application/problem+json, application/json", Form::Json),
            ("application/problem+json, */*;q=0.9", Form::Problem),
            ("application/problem+json;q=2", Form::Json),
            ("text/plain;q=0.1234", Form::Json),
        ] {
            assert_eq!(form(accept), expected, "{accept}");
        }
    }

    proptest! {
        #[test]
        fn nothing_a_client_sends_can_break_the_choice(accept in "[ -~]{0,80}") {
            _ = form(&accept);
        }
    }
}

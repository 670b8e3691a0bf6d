//! Cases that do not hold, with the reason. The lists are to become empty: a case that holds and is
//! still named here fails the test.

/// A reason, and the cases that fail for it.
pub(crate) const KNOWN: &[(&str, &[&str])] = &[
    (
        "Pingora's session cannot send trailers in HTTP/1.1",
        &[
            "rfc9110_6_5_1_trailers_that_frame_or_route_are_not_passed_on",
            "rfc9112_7_1_2_trailers_of_a_response_are_passed_on",
            "rfc9113_8_1_trailers_are_passed_on",
        ],
    ),
    (
        "Pingora's session puts its own date over a backend's",
        &["rfc9110_6_6_1_the_backends_date_is_passed_on"],
    ),
];

/// Why mutated requests arrive that strict reading refuses; `None` once they do not.
pub(crate) const MUTATIONS_FORWARDED: Option<&str> = None;

/// Why a case is known to fail; `None` for one that must hold.
pub(crate) fn reason(name: &str) -> Option<&'static str> {
    KNOWN.iter().find(|it| it.1.contains(&name)).map(|it| it.0)
}

//! Cases that do not hold, with the reason. The lists are to become empty: a case that holds and is
//! still named here fails the test.

/// A reason, and the cases that fail for it.
pub(crate) const KNOWN: &[(&str, &[&str])] = &[
    (
        "a body that turns out to be malformed ends its connection without an answer",
        &[
            "rfc9112_7_1_1_an_extension_of_many_bytes_is_refused",
            "rfc9112_7_1_1_an_extension_with_a_bare_carriage_return_is_refused",
            "rfc9112_7_1_1_an_extension_with_a_bare_line_feed_is_refused",
            "rfc9112_7_1_1_an_extension_with_a_nul_is_refused",
            "rfc9112_7_1_2_a_folded_trailer_is_refused",
            "rfc9112_7_1_2_a_request_behind_a_trailer_that_is_none_is_refused",
            "rfc9112_7_1_2_a_trailer_with_a_bare_line_feed_is_refused",
            "rfc9112_7_1_2_a_trailer_with_a_nul_is_refused",
            "rfc9112_7_1_2_a_trailer_with_a_space_before_the_colon_is_refused",
            "rfc9112_7_1_2_a_trailer_without_colon_is_refused",
            "rfc9112_7_1_2_trailers_without_bound_is_refused",
            "rfc9112_7_1_a_bare_carriage_return_after_a_size_is_refused",
            "rfc9112_7_1_a_bare_line_feed_after_a_chunk_is_refused",
            "rfc9112_7_1_a_bare_line_feed_after_a_size_is_refused",
            "rfc9112_7_1_a_bare_line_feed_after_the_last_size_is_refused",
            "rfc9112_7_1_a_bare_line_feed_at_the_end_is_refused",
            "rfc9112_7_1_a_carriage_return_twice_is_refused",
            "rfc9112_7_1_a_chunk_longer_than_its_size_is_refused",
            "rfc9112_7_1_a_chunk_shorter_than_its_size_is_refused",
            "rfc9112_7_1_a_chunk_without_line_end_is_refused",
            "rfc9112_7_1_a_negative_size_is_refused",
            "rfc9112_7_1_a_signed_size_is_refused",
            "rfc9112_7_1_a_size_in_two_words_is_refused",
            "rfc9112_7_1_a_size_of_many_zeros_is_refused",
            "rfc9112_7_1_a_size_that_does_not_fit_is_refused",
            "rfc9112_7_1_a_size_that_is_no_number_is_refused",
            "rfc9112_7_1_a_size_that_wraps_around_is_refused",
            "rfc9112_7_1_a_size_with_a_comma_is_refused",
            "rfc9112_7_1_a_size_with_a_fraction_is_refused",
            "rfc9112_7_1_a_size_with_a_letter_beyond_hexadecimal_is_refused",
            "rfc9112_7_1_a_size_with_a_nul_is_refused",
            "rfc9112_7_1_a_size_with_a_prefix_is_refused",
            "rfc9112_7_1_a_size_with_an_underscore_is_refused",
            "rfc9112_7_1_a_size_without_chunk_is_refused",
            "rfc9112_7_1_a_space_before_a_size_is_refused",
            "rfc9112_7_1_an_empty_size_is_refused",
        ],
    ),
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

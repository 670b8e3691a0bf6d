//! W3C Trace Context: which trace a request belongs to (<https://www.w3.org/TR/trace-context-2/>).
//!
//! Read as strictly as the recommendation asks, levels 1 and 2 alike: what is malformed is as if it
//! were not there, and takes `tracestate` with it, because half a context joins traces that have
//! nothing to do with each other.

/// Which trace and which span of it.
pub const PARENT: &str = "traceparent";
/// What tracing systems keep beside it.
pub const STATE: &str = "tracestate";
/// What applications keep beside it.
pub const BAGGAGE: &str = "baggage";

/// Somebody decided that the trace is recorded.
pub const SAMPLED: u8 = 1;
/// The trace's id is random (level 2).
pub const RANDOM: u8 = 2;

/// Length of a `traceparent` of version 00, and of what each later one must begin with.
pub const LENGTH: usize = 55;
/// Where the span's id stands in it.
pub const SPAN_AT: usize = 36;
/// Length of a span's id, as it is written.
pub const SPAN_LENGTH: usize = 16;
/// Most entries of a `tracestate`.
const MEMBERS_MAX: usize = 32;

/// A `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// Names the trace; never 0.
    pub trace: u128,
    /// Names the span that the request was sent from; never 0.
    pub span: u64,
    /// [`SAMPLED`] and [`RANDOM`]; others are dropped, as the recommendation asks.
    pub flags: u8,
}

impl TraceParent {
    /// Reads a header's value; `None` if it is malformed.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (head, rest) = value.split_at_checked(LENGTH)?;
        let dashes = [2, 35, 52].iter().all(|&at| head[at] == b'-');
        let version = hex(&head[..2])?;
        let is_whole = match version {
            0 => rest.is_empty(),
            0xff => false,
            // A later version may say more, behind another dash.
            _ => rest.is_empty() || rest[0] == b'-',
        };
        let trace = hex(&head[3..35])?;
        let span = u64::try_from(hex(&head[36..52])?).ok()?;
        let flags = u8::try_from(hex(&head[53..55])?).ok()? & (SAMPLED | RANDOM);
        (dashes && is_whole && trace != 0 && span != 0).then_some(Self { trace, span, flags })
    }

    /// Reads all values of the header: several of them contradict each other, even if they are alike.
    pub fn only<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let first = Self::parse(values.next()?)?;
        values.next().is_none().then_some(first)
    }

    /// Returns it as version 00.
    pub fn write(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }

    /// Tells whether somebody decided that the trace is recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// Tells whether the lines of a `tracestate` are well-formed, taken together as one list.
pub fn is_state<'a>(lines: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut members = 0;
    for line in lines {
        for member in line.split(|&it| it == b',') {
            let member = trimmed(member);
            if member.is_empty() {
                continue;
            }
            members += 1;
            if MEMBERS_MAX < members || !is_member(member) {
                return false;
            }
        }
    }
    true
}

fn is_member(member: &[u8]) -> bool {
    let Some(at) = member.iter().position(|&it| it == b'=') else { return false };
    let (key, value) = (&member[..at], &member[at + 1..]);
    let is_key = |it: &u8| {
        it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, b'_' | b'-' | b'*' | b'/')
    };
    let begins = key.first().is_some_and(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    let tenants = key.iter().filter(|&&it| it == b'@').count();
    let is_value = |it: &u8| matches!(it, 0x20..=0x7e) && !matches!(it, b',' | b'=');
    begins
        && key.len() <= 256
        && tenants <= 1
        && key.last() != Some(&b'@')
        && key.iter().all(|it| is_key(it) || *it == b'@')
        && (1..=256).contains(&value.len())
        && value.iter().all(is_value)
}

fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// Reads hexadecimal digits in small letters, the only ones that the recommendation knows.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((number << 4) | u128::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn parse(value: &str) -> Option<TraceParent> {
        TraceParent::parse(value.as_bytes())
    }

    #[test]
    fn a_valid_one_is_read_and_written_alike() {
        let parent = parse(VALID).unwrap();
        assert_eq!(parent.trace, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!((parent.span, parent.flags), (0xb7ad_6b71_6920_3331, SAMPLED));
        assert_eq!(parent.write(), VALID);
        assert_eq!(parent.write()[SPAN_AT..SPAN_AT + SPAN_LENGTH], VALID[36..52]);
    }

    #[test]
    fn flags_that_nobody_has_defined_are_dropped() {
        for (flags, kept) in [("00", 0), ("01", 1), ("02", 2), ("03", 3), ("ff", 3), ("fc", 0)] {
            assert_eq!(parse(&format!("{}{flags}", &VALID[..53])).unwrap().flags, kept, "{flags}");
        }
    }

    #[test]
    fn versions_are_taken_as_the_recommendation_says() {
        let of = |version: &str, more: &str| parse(&format!("{version}{}{more}", &VALID[2..]));
        assert_eq!(of("ff", ""), None, "forbidden");
        assert_eq!(of("00", "-what"), None, "version 00 ends there");
        assert_eq!(of("00", "-"), None);
        for later in ["01", "02", "cc", "fe"] {
            let parent = of(later, "").unwrap();
            assert_eq!(parent.write(), VALID, "answered in the version that is known");
            assert_eq!(of(later, "-what-the-future-will-be-like"), Some(parent));
            assert_eq!(of(later, "-"), Some(parent));
            assert_eq!(of(later, "x"), None);
            assert_eq!(of(later, ".what"), None);
        }
    }

    #[test]
    fn what_is_malformed_is_as_if_it_were_not_there() {
        let zeros = |from: usize, to: usize| {
            format!("{}{}{}", &VALID[..from], "0".repeat(to - from), &VALID[to..])
        };
        for bad in [
            String::new(),
            VALID[..54].to_owned(),
            format!("{VALID}0"),
            format!(" {VALID}"),
            VALID.to_uppercase(),
            VALID.replace('-', "_"),
            VALID.replace("0af7", "0aG7"),
            VALID.replace("0af7", "0aé"),
            zeros(3, 35),
            zeros(36, 52),
            format!("0x{}", &VALID[2..]),
        ] {
            assert_eq!(parse(&bad), None, "{bad}");
        }
    }

    #[test]
    fn several_contradict_each_other() {
        let only = |values: &[&str]| TraceParent::only(values.iter().map(|it| it.as_bytes()));
        assert_eq!(only(&[]), None);
        assert_eq!(only(&[VALID]), parse(VALID));
        assert_eq!(only(&[VALID, VALID]), None);
        assert_eq!(only(&[VALID, ""]), None);
        assert_eq!(only(&["", VALID]), None);
    }

    #[test]
    fn a_state_is_a_list_of_pairs() {
        let check = |lines: &[&str]| is_state(lines.iter().map(|it| it.as_bytes()));
        let many =
            |count: usize| (0..count).map(|it| format!("k{it}=v")).collect::<Vec<_>>().join(",");
        for good in [
            &[] as &[&str],
            &[""],
            &["foo=1"],
            &["foo=1,bar=2"],
            &["foo=1", "bar=2"],
            &["foo=1 ,\t bar=2, "],
            &["foo=1,,,bar=2"],
            &["fw529a3039@dt=FfAAAQ"],
            &["0foo=1"],
            &["foo= a b"],
            &[&format!("{}=1", "a".repeat(256))],
            &[&format!("foo={}", "1".repeat(256))],
            &[&many(32)],
        ] {
            assert!(check(good), "{good:?}");
        }
        for bad in [
            &["foo"] as &[&str],
            &["=1"],
            &["foo="],
            &["foo =1"],
            &["Foo=1"],
            &["foo@=1"],
            &["@foo=1"],
            &["a@b@c=1"],
            &["foo.bar=1"],
            &["foo=1=2"],
            &["foo=b\u{e4}r"],
            &[&format!("{}=1", "a".repeat(257))],
            &[&format!("foo={}", "1".repeat(257))],
            &[&many(33)],
            &[&many(20), &many(20)],
        ] {
            assert!(!check(bad), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            trace in 1..=u128::MAX, span in 1..=u64::MAX, flags in 0..=3_u8,
        ) {
            let parent = TraceParent { trace, span, flags };
            prop_assert_eq!(parse(&parent.write()), Some(parent));
        }

        #[test]
        fn nothing_makes_the_parser_panic(value in prop::collection::vec(any::<u8>(), 0..70)) {
            if let Some(parent) = TraceParent::parse(&value) {
                prop_assert!(parent.trace != 0 && parent.span != 0 && LENGTH <= value.len());
            }
            is_state(std::iter::once(value.as_slice()));
        }

        /// Changes one byte of a valid one: what is still taken differs only where it may.
        #[test]
        fn one_wrong_byte_is_never_overlooked(at in 0..LENGTH, byte in any::<u8>()) {
            let mut value = VALID.as_bytes().to_vec();
            value[at] = byte;
            let is_hex = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            let is_taken = match at {
                2 | 35 | 52 => byte == b'-',
                // `f0` to `ef` are versions; only `ff` is none, and takes two bytes.
                _ => is_hex,
            };
            prop_assert_eq!(TraceParent::parse(&value).is_some(), is_taken);
        }

        #[test]
        fn a_later_version_may_be_longer(
            version in 1..=0xfe_u8, more in "[ -~]{0,40}",
        ) {
            let value = format!("{version:02x}{}{more}", &VALID[2..]);
            let is_taken = more.is_empty() || more.starts_with('-');
            prop_assert_eq!(parse(&value).is_some(), is_taken);
        }
    }
}

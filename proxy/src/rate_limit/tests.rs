use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;

fn limit(requests: u32, per_millis: u64, burst: u32) -> RateLimit {
    RateLimit {
        requests: NonZeroU32::new(requests).unwrap(),
        per: Duration::from_millis(per_millis),
        burst: NonZeroU32::new(burst).unwrap(),
        key: RateKey::ClientAddress,
    }
}

fn is_admitted(answer: Answer) -> bool {
    matches!(answer.verdict, Verdict::Admitted { .. })
}

#[test]
fn a_burst_passes_at_once_and_then_one_request_for_each_token() {
    let buckets = Buckets::with_sets(&limit(2, 1000, 3), 1);
    let at = |millis| buckets.ask(7, Timestamp::from_millis(millis));
    assert_eq!([(); 3].map(|()| at(1_000).remaining), [2, 1, 0]);
    let retry_in = Duration::from_millis(500);
    assert_eq!(at(1_000).verdict, Verdict::Refused { retry_in });
    assert_eq!(at(1_499).verdict, Verdict::Refused { retry_in: Duration::from_millis(1) });
    let full_in = Duration::from_millis(1_500);
    assert_eq!(at(1_500).verdict, Verdict::Admitted { full_in });
    assert!(!is_admitted(at(1_999)));
    assert!(is_admitted(at(2_000)));
    // Nobody saves more than a burst.
    assert_eq!(at(90_000).remaining, 2);
}

#[test]
fn keys_do_not_disturb_each_other_while_there_is_room() {
    let buckets = Buckets::with_sets(&limit(1, 1000, 1), 1);
    let now = Timestamp::from_millis(5);
    for key in 1..=8 {
        assert!(is_admitted(buckets.ask(key, now)));
    }
    for key in 1..=8 {
        assert!(!is_admitted(buckets.ask(key, now)));
    }
}

#[test]
fn beyond_the_room_the_key_that_is_nearest_to_a_full_bucket_is_forgotten() {
    let buckets = Buckets::with_sets(&limit(1, 1000, 1), 1);
    for key in 1..=8 {
        assert!(!buckets.ask(key, Timestamp::from_millis(100 * key)).has_forgotten);
    }
    let now = Timestamp::from_millis(900);
    assert!(buckets.ask(9, now).has_forgotten);
    assert!(!is_admitted(buckets.ask(2, now)));
    assert!(is_admitted(buckets.ask(1, now)));
    // One that is full again is no loss.
    let later = Timestamp::from_millis(5_000);
    assert!(!buckets.ask(10, later).has_forgotten);
}

#[test]
fn a_limit_for_a_whole_route_needs_one_set() {
    let whole = RateLimit { key: RateKey::Route, ..limit(1, 1000, 1) };
    assert_eq!(Buckets::new(&whole).sets.len(), 1);
    let by_client = Buckets::new(&limit(1, 1000, 1));
    let bytes = by_client.sets.len() * size_of::<Mutex<[Bucket; WAYS]>>();
    assert!(bytes < 3 << 20, "{bytes}");
}

proptest! {
    #[test]
    fn never_more_than_a_burst_and_the_rate_are_admitted_in_any_stretch_of_time(
        requests in 1_u32..20,
        per_millis in 1_u64..5_000,
        burst in 1_u32..20,
        steps in prop::collection::vec(0_u64..2_000_000_000, 1..200),
    ) {
        let limit = limit(requests, per_millis, burst);
        let buckets = Buckets::with_sets(&limit, 1);
        let mut now = 0;
        let mut admitted: Vec<u64> = Vec::new();
        for step in steps {
            // Most come close together.
            now += if step % 3 == 0 { step } else { step / 1_000 };
            if is_admitted(buckets.ask(1, Timestamp::from_nanos(now))) {
                admitted.push(now);
            }
        }
        for (first, from) in admitted.iter().enumerate() {
            for (last, to) in admitted.iter().enumerate().skip(first) {
                let stretch = u128::from(to - from) * u128::from(requests);
                let refilled = stretch / (u128::from(per_millis) * 1_000_000);
                prop_assert!(((last - first + 1) as u128) <= u128::from(burst) + refilled);
            }
        }
    }

    #[test]
    fn refilling_is_exact_and_a_refusal_says_when_to_come_back(
        requests in 1_u32..1_000_000,
        per_millis in 1_u64..100_000,
        burst in 1_u32..50,
        start in 0_u64..1 << 60,
    ) {
        let limit = limit(requests, per_millis, burst);
        let buckets = Buckets::with_sets(&limit, 1);
        let at = |nanos| buckets.ask(1, Timestamp::from_nanos(nanos));
        for left in (0..burst).rev() {
            prop_assert_eq!(at(start).remaining, u64::from(left));
        }
        let Verdict::Refused { retry_in } = at(start).verdict else {
            return Err(TestCaseError::fail("more than a burst"));
        };
        let retry_in = u64::try_from(retry_in.as_nanos()).unwrap();
        // To the nanosecond: the least whole number of them in which a token is refilled.
        let token = u64::try_from(Duration::from_millis(per_millis).as_nanos()).unwrap();
        prop_assert_eq!(retry_in, token.div_ceil(u64::from(requests)));
        if 1 < retry_in {
            prop_assert!(!is_admitted(at(start + retry_in - 1)));
        }
        prop_assert!(is_admitted(at(start + retry_in)));
        // After a whole `per`, exactly `requests` more have passed, however tokens are divided.
        let rate = Buckets::with_sets(&RateLimit { burst: limit.requests, ..limit }, 1);
        let ask = |nanos| is_admitted(rate.ask(1, Timestamp::from_nanos(nanos)));
        if requests < 500 {
            prop_assert!((0..requests).all(|_| ask(start)));
            prop_assert!((0..requests).all(|_| ask(start + token)));
            prop_assert!(!ask(start + token));
        }
    }

    #[test]
    fn memory_is_bounded_and_a_known_key_is_never_admitted_beyond_its_bucket(
        keys in prop::collection::vec(any::<u64>(), 1..400),
    ) {
        let buckets = Buckets::with_sets(&limit(1, 1000, 2), 4);
        let now = Timestamp::from_millis(1);
        for &key in &keys {
            let admitted = (0..3).filter(|_| is_admitted(buckets.ask(key, now))).count();
            prop_assert!(admitted <= 2);
        }
        prop_assert_eq!(buckets.sets.len(), 4);
    }
}

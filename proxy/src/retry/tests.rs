use proptest::prelude::*;

use super::*;
use crate::{model::sample, snapshot::Live};

const SYMPTOMS: [Symptom; 22] = [
    Symptom::Overstayed,
    Symptom::ConnectionRefused,
    Symptom::ConnectTimedOut,
    Symptom::NameUnknown,
    Symptom::TlsFailed,
    Symptom::BadCertificate,
    Symptom::ConnectFailed,
    Symptom::ConnectionClosed,
    Symptom::ResponseTimedOut,
    Symptom::ErrorStatus(503),
    Symptom::ResponseCut,
    Symptom::Garbage,
    Symptom::Unexpected,
    Symptom::OutOfLine,
    Symptom::Injected(FaultMode::Crash),
    Symptom::Injected(FaultMode::Refuse),
    Symptom::Injected(FaultMode::Blackhole),
    Symptom::Injected(FaultMode::Hang),
    Symptom::Injected(FaultMode::Reset),
    Symptom::Injected(FaultMode::Truncate),
    Symptom::Injected(FaultMode::Error),
    Symptom::Injected(FaultMode::Slow),
];

/// The first attempt of a GET, to the first of two backends, was answered with 503.
const FACTS: Facts = Facts {
    symptom: Symptom::ErrorStatus(503),
    idempotence: Idempotence::Idempotent,
    response: Response::NotStarted,
    body: Body::Untouched,
    connection: Connection::Fresh,
    delivery: Delivery::Possible,
    attempts_made: 1,
    candidates: Candidates::Untried,
    time_left: Duration::from_secs(1),
};

fn pool() -> (RetryPolicy, Live) {
    let topology = sample::topology(vec![sample::pool("api", &[(0, 1), (1, 1)])]);
    let live = Live::new(&topology);
    (topology.pools[0].retries.clone(), live)
}

fn check(facts: Facts, expected: Decision) {
    let (policy, live) = pool();
    assert_eq!(decide(&facts, &policy, &live.pools[0], Timestamp::ZERO), expected, "{facts:?}");
}

fn check_without_budget(facts: Facts, expected: Decision) {
    let (mut policy, live) = pool();
    policy.budget_min_per_second = 0;
    assert_eq!(decide(&facts, &policy, &live.pools[0], Timestamp::ZERO), expected, "{facts:?}");
}

#[test]
fn what_was_never_sent_is_retried_for_every_method_and_free() {
    for symptom in SYMPTOMS.into_iter().filter(|it| it.is_before_request()) {
        let idempotence = Idempotence::NotIdempotent;
        check_without_budget(Facts { symptom, idempotence, ..FACTS }, Decision::Retry(Cost::Free));
    }
}

#[test]
fn a_tier_that_is_gone_is_got_past_however_large_it_is() {
    let gone = Facts { symptom: Symptom::ConnectionRefused, attempts_made: 7, ..FACTS };
    check(gone, Decision::Retry(Cost::Free));
    let exhausted = Decision::GiveUp(Reason::AttemptsExhausted);
    check(Facts { candidates: Candidates::TriedOnly, ..gone }, exhausted);
    check(Facts { symptom: Symptom::ConnectionClosed, ..gone }, exhausted);
}

#[test]
fn what_provably_did_not_arrive_is_as_good_as_never_sent() {
    let delivery = Delivery::Disproved;
    let facts = Facts {
        symptom: Symptom::ConnectionClosed,
        idempotence: Idempotence::NotIdempotent,
        delivery,
        ..FACTS
    };
    check_without_budget(facts, Decision::Retry(Cost::Free));
    let reason = Decision::GiveUp(Reason::NotIdempotent);
    check_without_budget(Facts { delivery: Delivery::Possible, ..facts }, reason);
}

#[test]
fn what_is_called_back_from_a_lost_backend_is_sent_elsewhere_for_free() {
    let facts = Facts { symptom: Symptom::BackendLost, ..FACTS };
    check_without_budget(facts, Decision::Retry(Cost::Free));
    let idempotence = Idempotence::NotIdempotent;
    check(Facts { idempotence, ..facts }, Decision::GiveUp(Reason::NotIdempotent));
}

#[test]
fn a_second_attempt_beside_the_first_draws_on_the_budget_and_goes_elsewhere() {
    let (mut policy, live) = pool();
    let facts = HedgeFacts {
        idempotence: Idempotence::Idempotent,
        body: Body::Buffered,
        attempts_made: 1,
        candidates: Candidates::Untried,
    };
    let may = |facts: &HedgeFacts, policy: &RetryPolicy| {
        may_hedge(facts, policy, &live.pools[0], Timestamp::ZERO)
    };
    assert!(may(&facts, &policy));
    for not in [
        HedgeFacts { idempotence: Idempotence::NotIdempotent, ..facts },
        HedgeFacts { body: Body::Gone, ..facts },
        HedgeFacts { attempts_made: 3, ..facts },
        HedgeFacts { candidates: Candidates::TriedOnly, ..facts },
    ] {
        assert!(!may(&not, &policy), "{not:?}");
    }
    policy.budget_min_per_second = 0;
    assert!(!may(&facts, &policy));
}

#[test]
fn only_the_same_backend_is_given_time_before_it_is_asked_again() {
    let policy = pool().0;
    let wait = |candidates, made| backoff(candidates, made, &policy).as_millis();
    assert_eq!(wait(Candidates::Untried, 1), 0);
    assert_eq!([1, 2, 3].map(|made| wait(Candidates::TriedOnly, made)), [25, 50, 100]);
}

#[test]
fn what_may_have_been_executed_is_retried_only_when_idempotent() {
    for symptom in SYMPTOMS.into_iter().filter(|it| !it.is_before_request()) {
        check(Facts { symptom, ..FACTS }, Decision::Retry(Cost::Budget));
        let idempotence = Idempotence::NotIdempotent;
        check(Facts { symptom, idempotence, ..FACTS }, Decision::GiveUp(Reason::NotIdempotent));
    }
}

#[test]
fn an_empty_budget_denies_what_draws_on_it() {
    check_without_budget(FACTS, Decision::GiveUp(Reason::Budget));
}

#[test]
fn a_stale_connection_is_replaced_for_free_once() {
    let stale = Facts {
        symptom: Symptom::ConnectionClosed,
        connection: Connection::Reused,
        candidates: Candidates::TriedOnly,
        ..FACTS
    };
    check_without_budget(stale, Decision::Retry(Cost::Free));
    check(Facts { attempts_made: 2, ..stale }, Decision::Retry(Cost::Budget));
    check(
        Facts { idempotence: Idempotence::NotIdempotent, ..stale },
        Decision::GiveUp(Reason::NotIdempotent),
    );
}

#[test]
fn an_error_status_is_passed_on_when_nobody_else_can_be_asked() {
    for symptom in SYMPTOMS {
        let facts = Facts { symptom, candidates: Candidates::TriedOnly, ..FACTS };
        if is_error_status(symptom) {
            check(facts, Decision::GiveUp(Reason::NoBackend));
        } else if symptom.is_before_request() {
            check(facts, Decision::Retry(Cost::Free));
        } else {
            check(facts, Decision::Retry(Cost::Budget));
        }
    }
}

#[test]
fn each_bound_has_its_reason() {
    for (facts, reason) in [
        (Facts { response: Response::Started, ..FACTS }, Reason::ResponseStarted),
        (Facts { attempts_made: 3, ..FACTS }, Reason::AttemptsExhausted),
        (Facts { time_left: Duration::ZERO, ..FACTS }, Reason::Deadline),
        (Facts { candidates: Candidates::Nobody, ..FACTS }, Reason::NoBackend),
        (Facts { body: Body::Gone, ..FACTS }, Reason::BodyNotReplayable),
    ] {
        check(facts, Decision::GiveUp(reason));
        if reason != Reason::AttemptsExhausted {
            let symptom = Symptom::ConnectionRefused;
            check(Facts { symptom, ..facts }, Decision::GiveUp(reason));
        }
    }
}

#[test]
fn one_attempt_means_no_retry() {
    let (mut policy, live) = pool();
    policy.max_attempts = std::num::NonZeroU32::MIN;
    for symptom in SYMPTOMS {
        let facts = Facts { symptom, ..FACTS };
        assert_eq!(
            decide(&facts, &policy, &live.pools[0], Timestamp::ZERO),
            Decision::GiveUp(Reason::AttemptsExhausted)
        );
    }
}

#[test]
fn methods_are_idempotent_as_the_standard_says_or_by_a_key() {
    let is = |method, key: Option<&str>| {
        Idempotence::of(method, key.map(str::as_bytes)) == Idempotence::Idempotent
    };
    for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"] {
        assert!(is(method, None), "{method}");
    }
    for method in ["POST", "PATCH", "CONNECT", "get", "PURGE", ""] {
        assert!(!is(method, None), "{method}");
        assert!(!is(method, Some("  ")), "{method}");
        assert!(is(method, Some("8e03978e")), "{method}");
    }
}

fn facts() -> impl Strategy<Value = Facts> {
    (
        prop::sample::select(&SYMPTOMS[..]),
        prop::sample::select(vec![Idempotence::Idempotent, Idempotence::NotIdempotent]),
        prop::sample::select(vec![Response::NotStarted, Response::Started]),
        prop::sample::select(vec![Body::Untouched, Body::Buffered, Body::Gone]),
        prop::sample::select(vec![Connection::Fresh, Connection::Reused]),
        prop::sample::select(vec![Delivery::Possible, Delivery::Disproved]),
        1_u32..6,
        prop::sample::select(vec![Candidates::Untried, Candidates::TriedOnly, Candidates::Nobody]),
        0_u64..3,
    )
        .prop_map(
            |(
                symptom,
                idempotence,
                response,
                body,
                connection,
                delivery,
                attempts_made,
                left,
                seconds,
            )| {
                Facts {
                    symptom,
                    idempotence,
                    response,
                    body,
                    connection,
                    delivery,
                    attempts_made,
                    candidates: left,
                    time_left: Duration::from_secs(seconds),
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_retry_breaks_no_promise(facts in facts(), max_attempts in 1_u32..5, has_budget: bool) {
        let (mut policy, live) = pool();
        policy.max_attempts = std::num::NonZeroU32::new(max_attempts).unwrap();
        policy.budget_min_per_second = u32::from(has_budget);
        let decision = decide(&facts, &policy, &live.pools[0], Timestamp::ZERO);
        if let Decision::Retry(cost) = decision {
            let may_have_executed =
            !facts.symptom.is_before_request() && facts.delivery == Delivery::Possible;
            prop_assert!(!may_have_executed || facts.idempotence == Idempotence::Idempotent);
            prop_assert_eq!(facts.response, Response::NotStarted);
            prop_assert_ne!(facts.body, Body::Gone);
            let is_past = facts.symptom.is_before_request()
                && facts.candidates == Candidates::Untried;
            prop_assert!(facts.attempts_made < max_attempts || is_past);
            prop_assert!(!facts.time_left.is_zero());
            prop_assert_ne!(facts.candidates, Candidates::Nobody);
            prop_assert!(cost == Cost::Free || (has_budget && may_have_executed));
        }
    }

    #[test]
    fn the_budget_is_blamed_only_for_what_it_alone_denied(facts in facts()) {
        let (mut policy, live) = pool();
        policy.budget_min_per_second = 0;
        let decision = decide(&facts, &policy, &live.pools[0], Timestamp::ZERO);
        policy.budget_min_per_second = 1;
        let with_budget = decide(&facts, &policy, &live.pools[0], Timestamp::ZERO);
        if decision == Decision::GiveUp(Reason::Budget) {
            prop_assert_eq!(with_budget, Decision::Retry(Cost::Budget));
        } else {
            prop_assert_eq!(with_budget, decision);
        }
    }
}

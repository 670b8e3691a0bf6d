//! Suspicion, probation and outliers, in the short hand of the tests of [`crate::fleet`].

use crate::fleet::tests::play;

/// Compares what the fleet says, apart from who served and why backends are ejected.
fn check(tiers: &[usize], script: &str, expected: &str) {
    let said = play(tiers, script);
    let said: Vec<&str> =
        said.split(' ').filter(|word| !word.ends_with('*') && !word.contains(':')).collect();
    assert_eq!(said.join(" "), expected, "{script}");
}

#[test]
fn two_passes_clear_what_checks_alone_have_raised() {
    check(&[0, 1], "1:a+ 2:b+ 10:a- 110:a+ 210:a+", "->0 a? a.");
    check(&[0, 1], "1:a+ 2:b+ 10:a- 110:a+ 210:a- 310:a+", "->0 a? a~");
}

#[test]
fn three_trials_in_time_clear_what_traffic_has_raised() {
    check(&[0, 1], "1:a+ 2:b+ 10:a!1 12:a+ 14:a* 112:a+ 114:a* 212:a* 213:.", "->0 a? aT aT aT a.");
    // Passes do not do it while somebody may come to try.
    check(&[0, 1], "1:a+ 2:b+ 10:a!1 12:a+ 112:a+ 212:a+ 312:a+ 1511:. 1512:.", "->0 a? aT a.");
}

#[test]
fn a_late_answer_proves_little_and_ten_are_enough() {
    let mut script = "1:a+ 2:b+ 10:a!1 12:a+".to_owned();
    for millis in (400..4_000).step_by(400) {
        script += &format!(" {millis}:a*300 {millis}:.");
    }
    check(&[0, 1], &script, "->0 a? aT aT aT aT aT aT aT aT aT aT");
    check(&[0, 1], &(script + " 4000:a*300"), "->0 a? aT aT aT aT aT aT aT aT aT aT a.");
}

#[test]
fn a_success_begun_before_its_trial_proves_nothing() {
    check(&[0, 1], "1:a+ 2:b+ 10:a!1 12:a+ 20:a*9 30:a*19 40:a*29", "->0 a? aT");
}

#[test]
fn a_second_failed_trial_ejects() {
    check(&[0, 1], "1:a+ 2:b+ 10:a!1 12:a+ 14:a!1 112:a+ 114:a!1", "->0 a? aT a~ aT a~ aX 0>1");
}

#[test]
fn a_trial_that_somebody_waits_on_is_not_silence() {
    let taken = "1:a+ 2:b+ 10:a!1 12:a+ 13:a@ 112:a+ 212:a+";
    // Another is granted, again and again, and an answer to any of them counts.
    check(&[0, 1], &format!("{taken} 1512:. 1513:. 1514:a@ 3014:."), "->0 a? aT aT aT");
    check(
        &[0, 1],
        &format!(
            "{taken} 1513:. 1514:a@ 1600:a*1586 1714:a@ 1720:a* 1814:a@ 1820:a* 1914:a@ \
                  1920:a*"
        ),
        "->0 a? aT aT aT aT aT a.",
    );
    // Nobody comes for the second one: the first still waits, but not for ever.
    check(&[0, 1], &format!("{taken} 1513:. 3013:. 20000:."), "->0 a? aT aT");
    check(&[0, 1], &format!("{taken} 1513:. 3013:. 20000:. 30013:."), "->0 a? aT aT a.");
}

#[test]
fn a_trial_that_overstays_and_is_answered_after_all_has_not_failed() {
    check(
        &[0, 1],
        "1:a+ 2:b+ 10:a!1 12:a+ 13:a@ 63:a^50 81:a*68 113:a@ 163:a^50 181:a*68 213:a@ 281:a*68",
        "->0 a? aT a~ aT a~ aT a.",
    );
}

#[test]
fn a_second_trial_that_overstays_and_is_not_answered_convicts() {
    check(
        &[0, 1],
        "1:a+ 2:b+ 10:a^5 12:a+ 13:a@ 63:a^50 1513:. 1514:a@ 1564:a^50 3014:. 3015:a@ 3065:a^50",
        "->0 a? aT a~ aT a~ aT a~ aX 0>1",
    );
    // Also when it was not told that the trial had been taken.
    check(
        &[0, 1],
        "1:a+ 2:b+ 10:a^5 12:a+ 63:a^50 1513:. 1564:a^50 3014:. 3065:a^50",
        "->0 a? aT a~ aT a~ aT a~ aX 0>1",
    );
    // On probation the first one does.
    check(
        &[0, 1],
        "1:a+ 2:b+ 10:a!3 5010:. 5011:a@ 5061:a^50 6511:. 6512:a@ 6562:a^50",
        "->0 a? aX 0>1 aO aT a? aT a~ aX",
    );
}

#[test]
fn a_trial_that_is_answered_and_then_breaks_off_has_failed() {
    check(
        &[0, 1],
        "1:a+ 2:b+ 10:a!1 12:a+ 14:a* 15:a!1 112:a+ 114:a* 115:a!1",
        "->0 a? aT a~ aT a~ aX 0>1",
    );
}

#[test]
fn a_trial_that_overstays_and_then_fails_has_failed_once() {
    check(&[0, 1], "1:a+ 2:b+ 10:a!1 12:a+ 114:a^100 300:a!1<286 312:a+", "->0 a? aT a~ a~ aT");
    check(
        &[0, 1],
        "1:a+ 2:b+ 10:a!1 12:a+ 13:a@ 63:a^50 1513:. 1514:a@ 2013:a!1<2000 2014:a*",
        "->0 a? aT a~ aT a~",
    );
}

#[test]
fn attempts_from_before_neither_prolong_a_suspicion_nor_raise_it_again() {
    check(
        &[0, 1],
        "1:a+ 2:b+ 10:a!1 12:a+ 13:a!2<9 14:a* 112:a!2<200 113:a* 212:a* 300:a!1<100 301:a^200",
        "->0 a? aT a~ aT a~ aT a. a~ a~",
    );
}

#[test]
fn trouble_soon_after_an_acquittal_ejects_unless_it_is_rare() {
    let acquitted = "1:a+ 2:b+ 10:a!1 12:a+ 14:a* 114:a* 214:a*";
    let story = |rest: &str| format!("{acquitted} {rest}");
    check(&[0, 1], &story("900:a!1%2/200"), "->0 a? aT aT aT a. a? aX 0>1");
    check(&[0, 1], &story("900:a!1%2/201"), "->0 a? aT aT aT a. a?");
    check(&[0, 1], &story("10214:a!1"), "->0 a? aT aT aT a. a?");
}

#[test]
fn a_third_suspicion_in_a_row_ejects_when_attempts_only_overstay() {
    let acquitted = "1:a+ 2:b+ 10:a^50 12:a+ 14:a* 114:a* 214:a*";
    let again = "900:a^50 912:a+ 914:a* 1014:a* 1114:a*";
    let said = "->0 a? aT aT aT a. a? aT aT aT a.";
    check(&[0, 1], &format!("{acquitted} {again} 1900:a^50"), &format!("{said} a? aX 0>1"));
    check(&[0, 1], &format!("{acquitted} {again} 11114:a^50"), &format!("{said} a?"));
    // What failed counts as before.
    check(&[0, 1], &format!("{acquitted} 900:a!1"), "->0 a? aT aT aT a. a? aX 0>1");
}

#[test]
fn a_failed_check_withholds_trials_until_the_next_pass() {
    check(&[0, 1], "1:a+ 2:b+ 10:a!1 12:a- 112:a+ 113:a- 114:a*", "->0 a? a~ aT a~");
}

#[test]
fn where_nobody_is_trusted_any_request_counts_once_for_each_trial() {
    check(&[0], "1:a+ 10:a!1 12:a+ 13:a* 14:a* 15:a* 112:a* 113:a* 212:a*", "->0 a? aT aT aT a.");
    check(&[0], "1:a+ 10:a!1 12:a+ 13:a!1 112:a+ 113:a!1 212:a+", "->0 a? aT a~ aT a~ aT");
}

#[test]
fn after_an_ejection_three_trials_must_succeed() {
    let ejected = "1:a+ 2:b+ 10:a!3 5010:.";
    check(&[0, 1], &format!("{ejected} 5011:a* 5110:a* 5210:a*"), "->0 a? aX 0>1 aO aT aT aT a.");
    // The first that fails ejects again, for twice as long.
    check(
        &[0, 1],
        &format!("{ejected} 5011:a* 5110:a!1 15109:. 15110:."),
        "->0 a? aX 0>1 aO aT aT a? aX aO aT",
    );
}

#[test]
fn too_great_a_share_of_failures_ejects_but_never_by_what_led_to_the_loss_before() {
    check(&[0, 1], "1:a+ 2:b+ 10:a!1%9/18 11:a!1%10/20", "->0 a? a~ aX 0>1");
    check(
        &[0, 1],
        "1:a+ 2:b+ 10:a- 20:a- 1000:a+ 2000:a+ 3000:a!1%10/20",
        "->0 a? a~ aX 0>1 aO a?",
    );
}

#[test]
fn every_ejection_says_why() {
    for (script, expected) in [
        ("10:a!3", "a:consecutive_failures"),
        ("10:a!1%10/20", "a:failure_ratio"),
        ("10:a!1 12:a+ 14:a!1 112:a+ 114:a!1", "a:suspicion"),
        ("500:b=20 501:a=100 1000:a=100", "a:latency"),
    ] {
        let said = play(&[0, 0], &format!("1:a+ 2:b+ {script}"));
        assert!(said.contains(expected), "{script}: {said}");
    }
}

#[test]
fn a_backend_out_of_line_with_its_tier_is_ejected() {
    check(&[0, 0], "1:a+ 2:b+ 500:a=20 501:b=100 1000:a=20 1001:b=100", "->0 b? bX");
    // Not beside an other tier, nor beside old numbers, nor as the last.
    check(&[0, 1], "1:a+ 2:b+ 500:a=20 501:b=100 1000:a=20 1001:b=100", "->0");
    check(&[0, 0], "1:a+ 2:b+ 500:a=20 2501:b=100 3001:b=100", "->0");
    check(&[0, 0], "1:a- 2:b+ 500:a=20 501:b=100 1000:a=20 1001:b=100", "a~ ->0");
}

#[test]
fn one_out_of_line_that_may_not_be_ejected_is_suspected() {
    // Half of three may be ejected, which is one.
    check(
        &[0, 0, 0, 0],
        "1:a+ 2:b+ 3:c+ 4:d+ 500:a=20 501:b=20 502:c=20 503:d=200 1000:a=20 1001:b=20 1002:d=200 \
         1003:c=200 1500:c=200 1501:b=200 1502:a=20 2000:b=200 2001:a=20",
        "->0 d? dX c? cX b?",
    );
}

#[test]
fn a_pool_is_not_emptied_on_the_word_of_checks_alone() {
    check(&[0], "1:a+ 10:a- 20:a-w", "->0 a? a~ a#");
    // Traffic has changed its mind, or has ceased: checks are believed.
    check(&[0], "1:a+ 10:a- 20:a-w 30:a-", "->0 a? a~ a# a~ a= aX 0>-");
    check(&[0], "1:a+ 10:a- 20:a-w 30:a+ 40:a+", "->0 a? a~ a# a= a.");
    // Somebody else is better, or checks speak no better of anybody else.
    check(&[0, 1], "1:a+ 2:b+ 10:a- 20:a-w", "->0 a? a~ a# aX 0>1");
    // Traffic is asked nothing more; only what it says itself, or a pass, ends the contradiction.
    check(&[0, 1], "1:a+ 2:b+ 10:a- 20:a-w 30:a- 40:a-", "->0 a? a~ a# aX 0>1 a~ a~");
    check(&[0, 1], "1:a+ 2:b+ 10:a- 20:a-w 30:a- 35:a!1<30", "->0 a? a~ a# aX 0>1 a~ a~ a=");
    check(&[0, 1], "1:a+ 2:b+ 10:a- 20:a-w 30:a- 40:a+", "->0 a? a~ a# aX 0>1 a~ a=");
    check(&[0, 1], "1:a+ 2:b+ 10:a- 11:b- 20:a-w 21:b-", "->0 a? b? a~ a# b~ bX");
}

#[test]
fn traffic_that_has_gone_elsewhere_does_not_disagree() {
    check(&[0, 1], "1:a+ 2:b+ 10:a!1 20:a-w 30:a-w", "->0 a? a~ a~ aX 0>1");
}

#[test]
fn attempts_from_before_a_loss_do_not_count_after_it() {
    check(
        &[0, 1],
        "1:a+ 2:b+ 10:a- 20:a- 1000:a+ 2000:a+ 2100:a!9<2090 2101:a!10",
        "->0 a? a~ aX 0>1 aO a~ a? aX",
    );
}

#[test]
fn checks_that_pass_for_an_ejected_backend_disagree_with_traffic() {
    check(&[0, 1], "1:a+ 2:b+ 10:a!3 20:a+ 5010:.", "->0 a? aX 0>1 a# a= aO aT");
}

mod properties {
    use std::time::Duration;

    use proptest::prelude::*;

    use crate::{
        clock::Timestamp,
        fleet::suspicion::{Doubt, Ruling, Suspicion},
    };

    const IN_TIME: Duration = Duration::from_millis(200);
    const SPACING: Duration = Duration::from_millis(100);

    proptest! {
        /// What happens, how long the attempt had taken, and after how long.
        #[test]
        fn whatever_was_it_ends_when_all_is_well_and_never_spins(
            facts in prop::collection::vec((0_u8..7, 0_u64..3_000, 0_u64..1_000), 0..80),
            has_traffic in any::<bool>(),
        ) {
            let mut suspicion = Suspicion::default();
            let mut now = Timestamp::from_millis(10_000);
            let mut passes = 0;
            for (kind, took, wait) in facts {
                let then = now + Duration::from_millis(wait);
                while let Some(due) = suspicion.deadline().filter(|due| *due <= then) {
                    now = now.max(due);
                    suspicion.handle_deadline(now);
                    prop_assert!(suspicion.deadline().is_none_or(|next| now < next), "stuck");
                }
                now = then;
                let began = now.minus(Duration::from_millis(took));
                let was_trusted = suspicion.is_absent();
                match kind {
                    0 => {
                        passes += 1;
                        suspicion.check_passed(passes, now);
                    }
                    1 => {
                        passes = 0;
                        suspicion.check_failed();
                    }
                    2 => {
                        let ruling = suspicion.attempt_failed(began, now);
                        prop_assert!(!was_trusted || ruling != Ruling::Convicted);
                        prop_assert!(ruling == Ruling::Stale || !suspicion.is_absent());
                    }
                    3 => _ = suspicion.overstayed(began, now),
                    4 => suspicion.trial_taken(now),
                    5 => suspicion.readmitted(now),
                    _ => suspicion.attempt_succeeded(began, IN_TIME, SPACING, now),
                }
                prop_assert!(!suspicion.has_trial() || suspicion.wants_successes());
            }
            // From here on all is well.
            let mut left = 400;
            while !matches!(suspicion.doubt, Doubt::None) {
                prop_assert!(0 < left, "suspected for ever: {:?}", suspicion);
                left -= 1;
                passes += 1;
                suspicion.check_passed(passes, now);
                if has_traffic && suspicion.has_trial() {
                    suspicion.trial_taken(now);
                    suspicion.attempt_succeeded(now, IN_TIME, SPACING, now);
                }
                now = now + SPACING;
                suspicion.handle_deadline(now);
            }
        }
    }
}

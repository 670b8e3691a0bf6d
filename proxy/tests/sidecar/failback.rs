//! Bringing traffic back to a preferred tier.

use bascule::{
    fleet::Input,
    model::PoolId,
    snapshot::{Condition, Snapshot},
};

use crate::world::{Wish, World};

const WELL: [Condition; 2] = [Condition::Healthy; 2];

/// Makes a world in which tier 1 serves and `returnable` could.
async fn failed_over(wish: Wish, returnable: Option<usize>) -> World {
    let world = World::with(wish).await;
    world.be(Some(1), WELL);
    let generation = world.state.generation();
    let mut snapshot = Snapshot::clone(&generation.snapshot.load());
    snapshot.pools[0].returnable = returnable;
    generation.snapshot.store(snapshot.into());
    world
}

#[tokio::test]
async fn the_fleet_is_told_and_faults_need_not_be_allowed_for_that() {
    let wish = Wish { fault_injection: false, ..Wish::default() };
    let mut world = failed_over(wish, Some(0)).await;
    for body in ["", r#"{"pool":"api"}"#] {
        let answer = world.post("/proxy/failback", body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let accepted = answer.json();
        assert_eq!((&accepted["pool"], &accepted["to_tier"]), (&"api".into(), &0.into()));
        assert!(accepted["accepted_at"].as_str().unwrap().ends_with('Z'));
        assert_eq!(world.told(), Input::FailbackRequested { pool: PoolId(0) });
    }
    assert_eq!(world.audit(), ["change made"; 2]);
    world.assert_untouched();
}

#[tokio::test]
async fn where_nothing_can_return_the_answer_says_why_and_what_to_do() {
    let mut world = failed_over(Wish::default(), None).await;
    let cases = [
        (Some(1), "preferred_tier_not_able", "eligible"),
        (Some(0), "nothing_to_fail_back", "nothing needs to be done"),
        (None, "nothing_active", "repair a backend"),
    ];
    for (active, code, remedy) in cases {
        world.be(active, WELL);
        let answer = world.post("/proxy/failback", "").await;
        assert_eq!((answer.status, answer.code().as_str()), (409, code));
        assert!(answer.remedy().contains(remedy), "{}", answer.remedy());
    }
    let expected = cases.map(|(_, code, _)| format!("change refused: {code}"));
    assert_eq!(world.audit(), expected);
    world.assert_untouched();
}

#[tokio::test]
async fn bad_orders_are_refused_without_effect() {
    let mut world = failed_over(Wish::default(), Some(0)).await;
    for (body, status, code) in [
        (r#"{"pool":"nope"}"#, 404, "unknown_pool"),
        (r#"{"backend":"primary"}"#, 400, "unknown_key"),
        (r#"{"pool":7}"#, 400, "bad_value"),
        ("{", 400, "malformed_body"),
    ] {
        let answer = world.post("/proxy/failback", body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body}");
    }
    for method in ["GET", "PUT", "DELETE"] {
        let answer = world.clients.ask(method, "/proxy/failback", &[], "").await;
        assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"));
        assert_eq!(answer.headers["allow"], "POST");
        let curl = format!("curl -X POST http://{}/proxy/failback", world.address);
        assert_eq!(answer.remedy(), curl);
    }
    world.assert_untouched();
}

//! A new topology for the same book: whose stories go on.

use super::*;
use crate::model::sample;

const LEFT: BackendId = BackendId { pool: PoolId(0), index: 0 };

#[test]
fn stories_end_with_their_backends_and_no_others_do() {
    let pool = |name: &str| sample::pool(name, &[(0, 1), (0, 1)]);
    let before = Arc::new(sample::topology(vec![pool("api"), pool("web")]));
    let (mut book, live) = (Book::new(Arc::clone(&before)), Live::new(&before));
    // The one that goes on will be called as the other one was before.
    for (pool, index) in [(0, 1), (0, 0), (1, 0)] {
        let backend = BackendId { pool: PoolId(pool), index };
        let (reason, served) = (LossReason::HealthCheck, Some(0));
        book.handle(
            &Event::BackendLost { backend, reason, served, heir: None },
            &live,
            Timestamp::from_millis(10),
        );
    }
    let mut left = pool("api");
    left.backends.remove(0);
    book.adopt(Arc::new(sample::topology(vec![left])), vec![None]);
    let places: Vec<_> = book.incidents().iter().map(|it| (it.state, it.place)).collect();
    let closed = (IncidentState::Closed, None);
    assert_eq!(places, [(IncidentState::Open, Some(LEFT)), closed, closed]);
    let told = std::iter::from_fn(|| book.poll_entry());
    let told: Vec<_> = told.map(|it| (it.news, it.incident.place)).collect();
    let of_gone = [News::Settled, News::Closed, News::Settled, News::Closed];
    let of_gone = of_gone.map(|news| (news, None));
    let opened = [Some(LEFT), None, None].map(|place| (News::Opened, place));
    assert_eq!(told, [&opened[..], &of_gone].concat());
}

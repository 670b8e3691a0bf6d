//! What is kept, for how long, for whom; with real connections, because whether one is open is the
//! kernel's word.

use bytes::Bytes;
use proptest::prelude::*;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::{
    exchange::connection::Terms,
    model::{Place, sample},
};

const BACKEND: BackendId = BackendId { pool: PoolId(0), index: 0 };
const EPOCH: u64 = 7;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A connection to a backend, and the backend's end of it.
async fn connected(epoch: u64) -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let terms = Terms {
        place: Arc::new(Place::Ip(address)),
        preamble: Bytes::new(),
        tls: None,
        limit: Duration::from_secs(5),
    };
    let opened = Connection::open(BACKEND, epoch, terms);
    let (connection, accepted) = tokio::join!(opened, listener.accept());
    (connection.unwrap(), accepted.unwrap().0)
}

/// Room for the connections of one pool, which keeps two of them for ten seconds.
struct World {
    topology: SharedTopology,
    connections: Connections,
    /// The backend's ends.
    backend: Vec<TcpStream>,
}

impl World {
    fn new() -> Self {
        let mut pool = sample::pool("api", &[(0, 1)]);
        pool.timeouts.idle = Duration::from_secs(10);
        pool.timeouts.idle_connections = 2;
        let topology = Arc::new(sample::topology(vec![pool]));
        let live = Arc::new(Live::new(&topology));
        let connections = Connections::new(&topology, &live).unwrap();
        Self { topology, connections, backend: Vec::new() }
    }

    async fn keep(&mut self, epoch: u64, now: Timestamp) {
        let (connection, end) = connected(epoch).await;
        self.backend.push(end);
        self.connections.keep(connection, &self.topology.pools[0], now);
    }

    /// Takes a connection, if one is fit, and closes it.
    fn takes(&self, max_idle: MaxIdle, now: Timestamp) -> bool {
        self.take(max_idle, Look::Kernel, now).is_some()
    }

    fn take(&self, max_idle: MaxIdle, look: Look, now: Timestamp) -> Option<Connection> {
        let pool = &self.topology.pools[0];
        self.connections.take(BACKEND, EPOCH, (max_idle, look), pool, now)
    }

    fn reap(&self, now: Timestamp) {
        self.connections.reap(&self.topology, |_| EPOCH, now);
    }

    fn count(&self) -> usize {
        lock(&self.connections.pools[0][0].kept).len()
    }

    fn safe_age(&self) -> Duration {
        self.connections.pools[0][0].safe_age()
    }

    /// Closes the backend's end of the connection that was kept at this turn, and waits until the
    /// news has come.
    async fn close(&mut self, turn: usize) {
        drop(self.backend.remove(turn));
        let is_there = || {
            lock(&self.connections.pools[0][0].kept).iter_mut().all(|it| it.connection.is_open())
        };
        while is_there() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn no_more_are_kept_than_the_bound_and_each_is_taken_once() {
    let mut world = World::new();
    for _ in 0..3 {
        world.keep(EPOCH, at(0)).await;
    }
    assert_eq!(world.count(), 2);
    let taken = [(); 3].map(|()| world.takes(MaxIdle::Kept, at(1)));
    assert_eq!(taken, [true, true, false]);
}

#[tokio::test]
async fn one_that_has_been_idle_for_too_long_is_not_taken_and_is_closed() {
    let mut world = World::new();
    world.keep(EPOCH, at(0)).await;
    assert!(!world.takes(MaxIdle::Kept, at(10_001)));
    world.reap(at(9_999));
    assert_eq!(world.count(), 1);
    world.reap(at(10_000));
    assert_eq!(world.count(), 0);
}

#[tokio::test]
async fn one_from_before_a_loss_is_neither_taken_nor_kept() {
    let mut world = World::new();
    world.keep(EPOCH - 1, at(0)).await;
    world.keep(EPOCH, at(0)).await;
    world.reap(at(1));
    assert_eq!(world.count(), 1);
    world.keep(EPOCH - 1, at(1)).await;
    // The youngest is dropped on the way to the other.
    assert!(world.takes(MaxIdle::Kept, at(2)));
    assert_eq!(world.count(), 0);
}

#[tokio::test]
async fn one_that_its_backend_has_closed_is_not_taken() {
    let mut world = World::new();
    world.keep(EPOCH, at(0)).await;
    world.close(0).await;
    assert!(!world.takes(MaxIdle::Kept, at(500)));
    world.keep(EPOCH, at(600)).await;
    world.close(0).await;
    world.reap(at(700));
    assert_eq!(world.count(), 0);
    // Who need not be sure hears of it from the event loop.
    world.keep(EPOCH, at(800)).await;
    assert!(world.take(MaxIdle::Kept, Look::EventLoop, at(801)).is_some());
    world.keep(EPOCH, at(800)).await;
    world.close(1).await;
    tokio::time::sleep(millis(10)).await;
    assert!(world.take(MaxIdle::Kept, Look::EventLoop, at(900)).is_none());
}

#[tokio::test]
async fn what_must_not_be_repeated_takes_none_that_may_be_closed_under_it() {
    let mut world = World::new();
    let fresh = MaxIdle::Fresh(millis(1_000));
    // Nothing is known: only one that has hardly been idle.
    world.keep(EPOCH, at(0)).await;
    assert!(!world.takes(fresh, at(11)));
    assert!(world.takes(fresh, at(10)));
    // It was seen to stay open for 400 ms: half of that is not risked.
    world.keep(EPOCH, at(0)).await;
    world.reap(at(400));
    assert_eq!(world.safe_age(), millis(200));
    world.keep(EPOCH, at(400)).await;
    assert!(!world.takes(fresh, at(601)));
    assert!(world.takes(fresh, at(600)));
    // It was seen to be closed at 100 ms.
    world.keep(EPOCH, at(500)).await;
    while world.takes(MaxIdle::Kept, at(500)) {}
    world.backend.clear();
    world.keep(EPOCH, at(500)).await;
    world.close(0).await;
    world.reap(at(600));
    assert_eq!(world.safe_age(), millis(50));
    // Never longer than configured, whatever was seen.
    assert!(!world.takes(MaxIdle::Fresh(millis(1)), at(602)));
}

#[test]
fn an_early_close_is_forgotten_little_by_little() {
    let shelf = Shelf::default();
    shelf.found_open(Duration::from_secs(8));
    assert_eq!(shelf.safe_age(), Duration::from_secs(4));
    shelf.found_closed(millis(200));
    let mut before = shelf.safe_age();
    assert_eq!(before, millis(100));
    let mut reaps = 0;
    while before < Duration::from_secs(4) {
        shelf.forget();
        assert!(before < shelf.safe_age());
        before = shelf.safe_age();
        reaps += 1;
    }
    // Twice a second.
    assert!((60..120).contains(&reaps), "{reaps}");
}

proptest! {
    /// Idle connections found open (`true`) or closed at these ages, in milliseconds.
    #[test]
    fn nothing_older_than_half_of_what_was_seen_is_safe(
        finds in prop::collection::vec((any::<bool>(), 1_u64..20_000), 0..40),
    ) {
        let shelf = Shelf::default();
        let (mut open, mut closed) = (20, u64::MAX);
        for (is_open, age) in finds {
            if is_open {
                shelf.found_open(millis(age));
                open = open.max(age);
            } else {
                shelf.found_closed(millis(age));
                closed = closed.min(age);
            }
            prop_assert_eq!(shelf.safe_age(), millis(open.min(closed)) / 2);
        }
    }
}

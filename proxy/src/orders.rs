//! Operators' orders on their way to the fleet, and its answers on their way back.
//!
//! The sidecar takes orders and `control` owns the fleet; neither knows the other. An order is
//! answered once it has been carried out, or refused, and what requests read has been swapped.

use tokio::sync::{mpsc, oneshot};

use crate::fleet::{Order, Ordered, Refusal};

/// Orders that may wait for the fleet. Each takes it microseconds.
const WAITING: usize = 64;

/// An order, and who waits for the answer.
#[derive(Debug)]
pub struct Placed {
    /// What is asked for.
    pub order: Order,
    /// Where the answer goes. Nobody may be waiting any more.
    pub reply: oneshot::Sender<Result<Ordered, Refusal>>,
}

/// Why an order has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Too many wait; it was not placed.
    #[error("too many orders wait")]
    Full,
    /// The proxy is ending.
    #[error("the proxy is ending")]
    Ending,
}

/// Where orders are placed. Clones lead to the same fleet.
#[derive(Clone, Debug)]
pub struct Orders(mpsc::Sender<Placed>);

impl Orders {
    /// Makes the way for orders. What is received must be answered.
    pub fn new() -> (Self, mpsc::Receiver<Placed>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Places an order and waits until it is carried out or refused.
    ///
    /// # Errors
    /// When nobody can answer.
    pub async fn place(&self, order: Order) -> Result<Result<Ordered, Refusal>, Unanswered> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(Placed { order, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unanswered::Full,
            mpsc::error::TrySendError::Closed(_) => Unanswered::Ending,
        })?;
        answer.await.map_err(|_| Unanswered::Ending)
    }
}

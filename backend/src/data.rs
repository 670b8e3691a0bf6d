//! The data set of `/api/data`: a dozen orders of a small shop, the same on every backend.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use serde::Serialize;

use crate::backend::Backend;
use crate::clock;
use crate::front::request_id;

/// Product and its price in cents.
const PRODUCTS: [(&str, u64); 5] = [
    ("oak desk", 38_900),
    ("reading lamp", 5_450),
    ("office chair", 21_900),
    ("monitor arm", 8_990),
    ("cable tray", 1_750),
];
const CUSTOMERS: [&str; 7] = [
    "Amara Okafor",
    "Jonas Lind",
    "Mei Tanaka",
    "Luca Ferri",
    "Ines Duarte",
    "Omar Haddad",
    "Ruth Vogel",
];
const STATUSES: [&str; 4] = ["shipped", "paid", "packed", "delivered"];
const ORDERS: u64 = 12;

#[derive(Debug, Serialize)]
pub(crate) struct Data {
    backend: String,
    request_id: Option<String>,
    served_at: String,
    items: Vec<Item>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Item {
    order: String,
    customer: &'static str,
    product: &'static str,
    quantity: u64,
    unit_price_cents: u64,
    total_cents: u64,
    status: &'static str,
    ordered_at: String,
}

pub(crate) async fn data(
    State(backend): State<Arc<Backend>>,
    request: Request<Body>,
) -> Json<Data> {
    Json(Data {
        backend: backend.name.clone(),
        request_id: request_id(&request).map(str::to_owned),
        served_at: clock::timestamp(),
        items: items(),
    })
}

/// Lists of coprime lengths, walked in step, give rows that look unrelated and never change.
fn items() -> Vec<Item> {
    let pick = |list_length: usize, row: u64, stride: u64| (row * stride) as usize % list_length;
    let item = |row: u64| {
        let (product, unit_price_cents) = PRODUCTS[pick(PRODUCTS.len(), row, 3)];
        let quantity = 1 + row * 7 % 4;
        Item {
            order: format!("ORD-{}", 10_481 + row * 3),
            customer: CUSTOMERS[pick(CUSTOMERS.len(), row, 2)],
            product,
            quantity,
            unit_price_cents,
            total_cents: quantity * unit_price_cents,
            status: STATUSES[pick(STATUSES.len(), row, 1)],
            ordered_at: format!(
                "2026-03-{:02}T{:02}:{:02}:00Z",
                2 + row,
                8 + row % 9,
                row * 17 % 60
            ),
        }
    };
    (0..ORDERS).map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_set_is_a_dozen_orders_that_never_change() {
        let orders = items();
        assert_eq!((orders.len(), &orders), (12, &items()));
        assert!(orders.iter().all(|it| it.total_cents == it.quantity * it.unit_price_cents));
        let mut numbers: Vec<_> = orders.iter().map(|it| &it.order).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), 12);
    }
}

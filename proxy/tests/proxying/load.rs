//! Load whose every request is accounted for, and an incident's count of the same requests.

use std::time::{Duration, Instant, SystemTime};

use bascule_backend::load::{LoadPlan, LoadRun, Report, start};
use serde_json::Value;

use crate::{client::soon, proxy::Proxy};

/// A client may see the end of an answer this much before or after the proxy counts it.
const BLUR: Duration = Duration::from_millis(5);

/// 200 requests a second, until stopped.
pub(crate) fn load(proxy: &Proxy, path: &str) -> LoadRun {
    start(plan(proxy, path))
}

pub(crate) fn plan(proxy: &Proxy, path: &str) -> LoadPlan {
    LoadPlan::new(&proxy.url(path), 200.0).unwrap()
}

/// Waits until that many more requests have been answered well.
pub(crate) async fn served(load: &LoadRun, more: u64) {
    let before = load.progress().ok;
    soon(load.until(|it| before + more <= it.ok)).await;
}

/// Every request was answered well.
pub(crate) fn assert_none_failed(report: &Report) {
    let failures: Vec<_> = report.failures().take(5).collect();
    assert_eq!(report.summary.failed, 0, "{:?}; {failures:#?}", report.summary.failed_by_kind);
}

/// The incident counted the requests of its window that the clients counted, and lost those that
/// failed for them.
pub(crate) fn assert_counts_agree(incident: &Value, report: &Report) {
    let (now, system_now) = (Instant::now(), SystemTime::now());
    let moment = |text: &Value| {
        let at: jiff::Timestamp = text.as_str().unwrap().parse().unwrap();
        now - system_now.duration_since(at.into()).unwrap()
    };
    let (from, to) = (moment(&incident["window"]["from"]), moment(&incident["window"]["to"]));
    // The proxy counts a request between the moments at which its client sent it and saw the end.
    let (mut surely, mut perhaps, mut failed) = (0, 0, 0);
    for record in &report.records {
        if from + BLUR <= record.started && record.finished() + BLUR <= to {
            surely += 1;
        }
        if from <= record.finished() + BLUR && record.started <= to + BLUR {
            perhaps += 1;
            failed += u64::from(!record.is_ok());
        }
    }
    let counted = incident["requests"]["total"].as_u64().unwrap();
    assert!(surely <= counted && counted <= perhaps, "{surely} <= {counted} <= {perhaps}");
    assert_eq!(incident["requests"]["lost"], failed, "{incident:#}");
}

// The end of a run: one JSON file for machines, one table for people.

import { FAULT, RATE, TARGET } from './settings.js';

// The statistic that a threshold names: "p(99)<100" is about "p(99)".
function observed(metric, threshold) {
  const value = metric.values[threshold.split(/[<>=!]/)[0].trim()];
  return value === undefined ? null : value;
}

function thresholdRows(metrics) {
  return Object.keys(metrics).sort().flatMap((name) =>
    Object.entries(metrics[name].thresholds || {}).map(([threshold, result]) => ({
      check: name, promise: threshold, observed: observed(metrics[name], threshold), pass: result.ok,
    })));
}

function phaseNumbers(metrics, phase) {
  const values = (name) => (metrics[`${name}{phase:${phase}}`] || { values: {} }).values;
  const requests = values('http_reqs').count || 0;
  const latency = requests > 0 ? values('http_req_duration') : {};
  const some = (x) => (x === undefined ? null : x);
  return {
    requests,
    failed: requests > 0 ? values('http_req_failed').passes : 0,
    error_ratio: requests > 0 ? values('http_req_failed').rate : null,
    p50_ms: some(latency.med), p99_ms: some(latency['p(99)']), max_ms: some(latency.max),
  };
}

function count(metrics, name) {
  return metrics[name] ? metrics[name].values.count : 0;
}

function largest(metrics, name) {
  return metrics[name] ? metrics[name].values.max : null;
}

function report(script, phases, metrics, extra) {
  const rows = thresholdRows(metrics);
  return Object.assign({
    schema: 1,
    script,
    ended_at: new Date().toISOString(),
    target: TARGET,
    rate_per_second: RATE,
    pass: rows.every((row) => row.pass),
    checks: rows,
    phases: Object.fromEntries(phases.map((phase) => [phase, phaseNumbers(metrics, phase)])),
    dropped_iterations: count(metrics, 'dropped_iterations'),
  }, extra);
}

/** The switch as clients and a 50 ms poll of the sidecar saw it. */
export function switchNumbers(metrics) {
  const during = phaseNumbers(metrics, 'during');
  return {
    fault: FAULT,
    failover_switch_ms: largest(metrics, 'failover_switch_ms'),
    backend_return_ms: largest(metrics, 'backend_return_ms'),
    failback_ms: largest(metrics, 'failback_ms'),
    error_ratio: during.error_ratio, p50_ms: during.p50_ms, p99_ms: during.p99_ms, max_ms: during.max_ms,
  };
}

function short(value) {
  return value === null ? '-' : String(Math.round(value * 1000) / 1000);
}

function table(result) {
  const lines = result.checks.map((row) =>
    `${row.pass ? 'PASS' : 'FAIL'}  ${row.check.padEnd(38)} ${row.promise.padEnd(14)} ${short(row.observed)}`);
  const passed = result.checks.filter((row) => row.pass).length;
  return `\n${result.script}\n${lines.join('\n')}\n${passed} passed, ${lines.length - passed} failed\n`;
}

/**
 * A `handleSummary`. With RESULTS (a directory, set by `loadtest/run`) it writes NAME.json there and leaves
 * the table to the runner, which adds the agreement check; without, it prints the table.
 */
export function summary(script, phases, extra = () => ({})) {
  return (data) => {
    if (!data.metrics || Array.isArray(data.metrics)) {
      return { stderr: 'summary in a shape that this script does not know: set K6_NEW_MACHINE_READABLE_SUMMARY=false\n' };
    }
    const result = report(script, phases, data.metrics, extra(data.metrics));
    if (__ENV.RESULTS) return { [`${__ENV.RESULTS}/${script}.json`]: `${JSON.stringify(result, null, 2)}\n` };
    return { stdout: table(result) };
  };
}

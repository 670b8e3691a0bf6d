"""Dashboard "Operation": what people changed, what the process took over, and whether every record is kept."""

from panels import BAD, GOOD, NEUTRAL, QUIET, WARN, dashboard, lines, name, number, query, row, states, steps, values, variable

UID, TITLE = "bascule-operation", "Operation"

POOL = 'pool=~"$pool"'
RATE = "$__rate_interval"
JOB = 'job="bascule"'

# The order is the number that the band shows.
INTENTS = {"enabled": GOOD, "draining": WARN, "disabled": BAD}


def wanted():
    intent = " + ".join(
        f'{code} * max by (pool, backend) (bascule_backend_intent{{{POOL},state="{state}"}})'
        for code, state in enumerate(INTENTS, start=1)
    )
    held = f"max by (pool) (bascule_pool_held_tier{{{POOL}}})"
    ejected = f'sum by (pool) (increase(bascule_ejections_total{{{POOL},reason="manual"}}[{RATE}]))'
    return row(
        "What operators want",
        (states("Backends", [query(intent, "{{pool}}/{{backend}}")],
                "Whether a backend may get traffic as far as operators are concerned; health is on *Backends*.",
                values({code: it for code, it in enumerate(INTENTS.items(), start=1)})), 12, 8),
        (states("Pools held in a tier", [query(held, "{{pool}}")],
                "A pool that an operator moved stays where it is until somebody lets it go.",
                values({-1: ("free", QUIET), 0: ("held in tier 0", NEUTRAL), 1: ("held in tier 1", WARN), 2: ("held in tier 2", WARN)})), 12, 8),
        (lines("Weights", "short", [query(f"max by (pool, backend) (bascule_backend_weight{{{POOL}}})", "{{pool}}/{{backend}}")],
               "Shares within a tier, as last ordered; a reload that changes one overrides the order.", decimals=0), 8, 8),
        (lines("Ejected by hand", "short", [query(ejected, "{{pool}}")],
               "Backends that an operator took out.", bars=True, stack=True), 8, 8),
        (lines("Checks and traffic disagree", "short",
               [query(f"sum by (pool, backend) (bascule_evidence_disagreement{{{POOL}}})", "{{pool}}/{{backend}}")],
               "1 where health checks say of a backend the opposite of what real traffic says: the check asks for the wrong thing.",
               decimals=0, maximum=1), 8, 8),
    )


def configuration():
    reloads = f"sum by (result) (increase(bascule_config_reloads_total[{RATE}]))"
    upgrades = f"sum by (result) (increase(bascule_upgrades_total[{RATE}]))"
    cut = f"sum by (drained) (increase(bascule_requests_cut_total[{RATE}]))"
    outcome = values({0: ("refused", BAD), 1: ("in use", GOOD)})
    age = "time() - (max by (instance) (bascule_config_last_reload_timestamp_seconds) > 0)"
    return row(
        "Configuration and process",
        (number("Latest reload", "short", [query("min by (instance) (bascule_config_last_reload_successful)", "{{instance}}")],
                "Refused: what is on the disk is not what is in use, and the next start will fail on it.",
                mappings=outcome, thresholds=steps(BAD, (1, GOOD))), 4, 5),
        (number("Reloaded", "s", [query(age, "{{instance}}")], "Time since the latest reload, refused ones included.",
                thresholds=steps(QUIET), no_value="never"), 4, 5),
        (number("Generation", "short", [query("max by (instance) (bascule_config_generation)", "{{instance}}")],
                "The number of the configuration in use; 1 is that at start.", decimals=0, thresholds=steps(QUIET)), 4, 5),
        (number("Process", "short", [query("max by (instance) (bascule_process_generation)", "{{instance}}")],
                "1 was started; each higher one took over from the one before.", decimals=0, thresholds=steps(QUIET)), 4, 5),
        (number("Running for", "s", [query(f"time() - process_start_time_seconds{{{JOB}}}", "{{instance}}")],
                "Since the start of the process that answers.", thresholds=steps(QUIET)), 4, 5),
        (name("Version", [query("bascule_build_info", "{{version}}")], "What runs."), 4, 5),
        (lines("Reloads", "short", [query(reloads, "{{result}}")],
               "By result: in use, the same as before, or refused.", bars=True, stack=True,
               colours={"applied": GOOD, "unchanged": NEUTRAL, "refused": BAD}), 8, 7),
        (lines("Upgrades", "short", [query(upgrades, "{{result}}")],
               "Attempts to let another process take over. A new process counts from 0, so what completed shows as "
               "the step of *Process*.", bars=True, stack=True,
               colours={"completed": GOOD, "refused": WARN, "failed": BAD}), 8, 7),
        (lines("Cut at the end of a drain", "short", [query(cut, "{{drained}}")],
               "Requests that outlasted what they were given: at backends that a reload removed (`reload.drain`), and "
               "when the process ended (`shutdown.drain`), which is seen only if the last scrape was late enough.",
               bars=True, stack=True, colours={"backend": WARN, "process": BAD}), 8, 7),
    )


def records():
    per_second = lambda metric, by="": f"sum{by} (rate({metric}[{RATE}]))"  # noqa: E731
    return row(
        "Records",
        (lines("Access log", "cps", [query(per_second("bascule_access_log_lines_total"), "written"),
                                     query(per_second("bascule_access_log_dropped_total"), "dropped")],
               "Lines a second. Dropped: too many waited, or the disk refused them; no request waits for its line.",
               colours={"written": NEUTRAL, "dropped": BAD}), 8, 8),
        (lines("Spans", "cps", [query(per_second("bascule_trace_spans_exported_total"), "exported"),
                                query(per_second("bascule_trace_spans_dropped_total", " by (reason)"), "dropped: {{reason}}")],
               "Spans that the collector took, and those that it did not: too many waited, it did not answer, or it "
               "refused them.", colours={"exported": NEUTRAL}), 8, 8),
        (lines("Missing in the audit file", "short", [query(f"sum by (instance) (increase(bascule_audit_lost_total[{RATE}]))", "{{instance}}")],
               "Changes by operators that `admin.audit.file` could not take. There should be none, ever.", bars=True), 8, 8),
        (lines("Live log", "short", [query("sum(bascule_log_stream_clients)", "readers"),
                                     query(per_second("bascule_log_lines_dropped_total"), "missed lines a second")],
               "Who reads /logs, and what they missed because they read slowly.", colours={"missed lines a second": WARN}), 8, 8),
        (lines("Evidence that was not judged", "cps", [query(per_second("bascule_evidence_dropped_total"), "dropped")],
               "Outcomes of attempts that came faster than the control path takes them in; verdicts get slower.",
               colours={"dropped": BAD}), 8, 8),
        (lines("History written", "cps", [query(per_second("bascule_history_writes_total"), "written"),
                                          query(per_second("bascule_history_dropped_total"), "written later"),
                                          query(per_second("bascule_history_failures_total"), "failures")],
               "Changes to the file of incidents and signals. What fails is kept in memory, and tried again.",
               colours={"written": NEUTRAL, "written later": WARN, "failures": BAD}), 8, 8),
        (lines("History's file", "bytes", [query("bascule_history_file_bytes", "{{instance}}")],
               "To hold against `history.max_size`; nothing where there is none."), 8, 8),
        (states("History is kept", [query("min by (instance) (bascule_history_stored)", "{{instance}}")],
                "In a file, or in memory only: by configuration, or because the file failed.",
                values({0: ("in memory", WARN), 1: ("in its file", GOOD)})), 8, 8),
        (lines("Turned away by the sidecar", "reqps", [query(per_second("bascule_admin_refused_total", " by (reason)"), "{{reason}}")],
               "Callers without a right to what they asked for, and those that wait after too many wrong tokens.", stack=True), 8, 8),
    )


def build():
    return dashboard(
        UID, TITLE, "What did people change, what runs, and is every record kept?",
        [variable("pool", "Pool", "label_values(bascule_backend_eligible, pool)")],
        [wanted(), configuration(), records()],
    )

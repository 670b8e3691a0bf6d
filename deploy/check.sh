#!/usr/bin/env bash
# Checks what deploy/ gives to Prometheus and Grafana: configuration, rules and their tests,
# dashboards, runbooks.
#
# usage: deploy/check.sh [--metrics FILE] [--prometheus URL [--samples SECONDS]]
#   --metrics FILE      a /metrics page: every metric that rules and dashboards name must be in it
#   --prometheus URL    let this Prometheus evaluate every query, and take the metrics from there
#   --samples SECONDS   and each of them must give at least one sample within this time
set -uo pipefail
cd "$(dirname "$0")" || exit 1

if ! command -v promtool >/dev/null; then
    echo "promtool is missing; run: sudo apt-get install --no-install-recommends prometheus" >&2
    exit 1
fi

passed=0 failed=0
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        printf 'FAILED  %s\n%s\n' "$name" "$output"
    fi
}

# What an image compiles first, manifests with empty sources, as the Dockerfile makes them: cargo looks
# for all that they name.
dependencies_stage() (
    scratch=$(mktemp -d) && trap 'rm -rf "$scratch"' EXIT || return 1
    recipe=$(sed -n '/^RUN for crate/,/^    done/{/^ *#/d;s/^RUN //;p}' Dockerfile) || return 1
    mkdir "$scratch/proxy" "$scratch/backend" && cp ../Cargo.toml ../Cargo.lock "$scratch" \
        && cp ../proxy/Cargo.toml "$scratch/proxy" && cp ../backend/Cargo.toml "$scratch/backend" \
        && cd "$scratch" && sh -c "${recipe%\\}" && cargo fetch --locked --target "$(rustc -vV | sed -n 's/^host: //p')"
)

check "the Dockerfile's manifests can be read without the sources" dependencies_stage
check "prometheus.yml" promtool check config prometheus/prometheus.yml
check "rules" promtool check rules --lint=all --lint-fatal prometheus/rules/*.yml
for test in prometheus/tests/*.yml; do
    check "$test" promtool test rules "$test"
done
check "dashboards are what generate.py writes" python3 grafana/generate.py --check
check "every alert has its runbook, and every runbook its alert" python3 grafana/queries.py runbooks
check "every alert is tested, firing and silent" python3 grafana/queries.py tested
check "every alert is listed as brought about by observe/, or has a reason why not" python3 -B observe/shown.py
check "every command in a runbook exists" python3 grafana/queries.py commands
check "every panel has a unit, a text and the data source variable" python3 grafana/queries.py panels
check "every query is PromQL" python3 grafana/queries.py parse
while [ $# -gt 0 ]; do
    case $1 in
        --metrics | --prometheus | --samples)
            [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; } ;;
        *) sed -n '5,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    case $1 in
        --metrics) check "every metric is in $2" python3 grafana/queries.py metrics "$2" ;;
        --prometheus)
            prometheus=$2
            check "every metric is at $2" python3 grafana/queries.py metrics "$2"
            check "$2 evaluates every query" python3 grafana/queries.py evaluate "$2" ;;
        --samples)
            check "every query has samples" python3 grafana/queries.py samples "${prometheus:?--samples comes after --prometheus}" "$2" ;;
    esac
    shift 2
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]

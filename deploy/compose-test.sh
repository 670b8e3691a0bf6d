#!/usr/bin/env bash
# Builds and starts deploy/compose.yml for real, fails the primary, watches the switch and the
# restart, and takes everything down again. `make compose-test` calls it.
#
# On Debian 12 as root it installs what is missing (engine, debootstrap, promtool) and starts the
# engine itself when none answers; elsewhere it uses the engine that is there. Images stay for the
# next run. Ports 3000-3003, 8021, 9090 and 9901 must be free.
#
# Environment:
#   BASCULE_COMPOSE_PULL=never     do not ask a registry for base images, make substitutes
#   BASCULE_COMPOSE_KEEP=1         leave everything running at the end
#   BASCULE_COMPOSE_BUILD_LIMIT    seconds that building may take (2700)
set -uo pipefail

root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
deploy=$root/deploy
cache=$root/.cache/compose-test
logs=$cache/logs
project=bascule-test
mkdir -p "$logs"
cd "$root" || exit 1

say() { echo "== $(date +%T) $*"; }
die() {
    echo "error: $*" >&2
    exit 1
}

# shellcheck source=deploy/compose-test/engine.sh
. "$deploy/compose-test/engine.sh"
# shellcheck source=deploy/compose-test/images.sh
. "$deploy/compose-test/images.sh"

compose_files=()
started=
# The closing line: nothing else tells a run that broke off from one that passed.
score="0 passed, 1 failed"
compose() { docker compose -p "$project" "${compose_files[@]}" "$@"; }

# shellcheck disable=SC2329
clean_up() {
    local status=$?
    trap - EXIT
    if [ -n "$started" ] && [ "$status" != 0 ]; then
        compose logs --no-color --timestamps >"$logs/containers.log" 2>&1
        compose ps -a
        say "last lines of the containers; all of them: $logs/containers.log"
        compose logs --no-color --tail 15 2>&1 | tail -n 120
    fi
    if [ -n "${BASCULE_COMPOSE_KEEP:-}" ]; then
        say "left running: docker compose -p $project ${compose_files[*]} ps"
    else
        if [ -n "$started" ]; then
            say "taking everything down"
            timeout 150 docker compose -p "$project" "${compose_files[@]}" down -v --remove-orphans >"$logs/down.log" 2>&1 \
                || { tail -n 5 "$logs/down.log"; status=1 score="0 passed, 1 failed"; }
        fi
        stop_engine
    fi
    echo "$score"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# build TARGET TAG: ahead of Compose and one after the other, so that they share their stages.
build() {
    local arguments=(-f "$deploy/Dockerfile" --target "$1" -t "$2") name began=$SECONDS
    for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
        [ -z "${!name:-}" ] || arguments+=(--build-arg "$name")
    done
    say "building $2 (log: $logs/build-$1.log)"
    # A plain docker command has BuildKit only with its plugin; without it the classic builder.
    local buildkit=0
    docker buildx version >/dev/null 2>&1 && buildkit=1
    DOCKER_BUILDKIT=$buildkit timeout "${BASCULE_COMPOSE_BUILD_LIMIT:-2700}" \
        docker build "${arguments[@]}" "$root" >"$logs/build-$1.log" 2>&1 \
        || { tail -n 40 "$logs/build-$1.log"; die "the image $2 does not build"; }
    say "built $2 in $((SECONDS - began)) s"
}

command -v python3 >/dev/null || die "python3 is missing; run: apt-get install python3"
start_engine
start_compose
need_packages prometheus ca-certificates
provide_images
compose config -q || die "compose.yml is not valid"

build bascule bascule:dev
build backend bascule-backend:dev

# What an earlier run left behind, after a kill for instance.
compose down -v --remove-orphans >/dev/null 2>&1
started=yes
say "starting"
timeout 300 docker compose -p "$project" "${compose_files[@]}" up -d --no-build >"$logs/up.log" 2>&1 \
    || { tail -n 20 "$logs/up.log"; die "docker compose up"; }
timeout 1200 python3 "$deploy/compose-test/verify.py" docker compose -p "$project" "${compose_files[@]}" \
    | tee "$logs/verify.log" | sed -u '$d'
status=${PIPESTATUS[0]}
last=$(tail -n 1 "$logs/verify.log")
[[ $last =~ ^[0-9]+\ passed,\ [0-9]+\ failed$ ]] && score=$last
exit "$status"

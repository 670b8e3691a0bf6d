# Every recipe is one line or calls a script that is kept beside what it serves.

# Where set-up puts tools that the machine does not have.
export PATH := $(CURDIR)/.cache/bin:$(PATH):$(HOME)/.cargo/bin

.DEFAULT_GOAL := help
.PHONY: help demo test check drills operate hostile observe bench microbench growth instructions soak dashboard compose-test deb deny regen pictures setup

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

demo: ## build and start everything: page on 3000, proxy on 8021 (ARGS="--load 100")
	@.ci/demo $(ARGS)

test: ## run every test, cheapest first; installs what is missing for that
	@.ci/test

check: ## what to run before a commit: about two minutes
	@.ci/setup build page && .ci/test format scripts lint docs units types

drills: ## break backends in every way, count what clients lose (ARGS="--peers", "--short kill")
	@.ci/setup build $(if $(findstring --peers,$(ARGS)),peers) && cargo build --release --workspace && loadtest/drill $(ARGS)

operate: ## upgrade, reload and drain under load; nothing may be noticed (ARGS="--upgrades 3")
	@.ci/setup build && cargo build --release --workspace && loadtest/operate $(ARGS)

hostile: ## odd, slow and hostile clients against a real proxy, with the tools that others use
	@cargo build --release --workspace && loadtest/hostile $(ARGS)

observe: ## let a real Prometheus watch everything happen: no panel or rule may be empty, no alert unaccounted for
	@.ci/setup test && .ci/test observe

bench: ## processor time per request beside HAProxy, nginx, Envoy, Caddy, bare Pingora (ARGS="get tls")
	@.ci/setup build peers && cargo build --release -p bascule -p bascule-backend --bin bascule --bin bascule-backend --bench bare_pingora && loadtest/measure $(ARGS)

microbench: ## nanoseconds of single functions: pick, route, count, snapshot, request head (ARGS="route")
	@.ci/setup build && cargo bench -p bascule --bench core -- $(ARGS)

growth: ## memory and processor time against connections, backends, routes, rate, incidents, readers (ARGS="idle")
	@.ci/setup build peers && cargo build --release -p bascule -p bascule-backend && loadtest/growth $(ARGS)

instructions: ## instructions that a request costs, counted by callgrind (ARGS="get --profile /tmp/profile")
	@.ci/setup build cost && cargo build --release -p bascule --bin bascule && loadtest/instructions $(ARGS)

soak: ## run the core in 50,000 simulated worlds, and fuzz for an hour; `make test` does little of both
	@proxy/fuzz/run 360
	@BASCULE_SEEDS=50000 cargo test --release -p bascule --test simulation -- --nocapture seeds_hold

dashboard: ## build the page into dashboard/dist; the next `cargo build` embeds it
	@.ci/setup page && npm --prefix dashboard run build

compose-test: ## start deploy/compose.yml for real and fail a backend in it
	@deploy/compose-test.sh

deb: ## build the Debian package; needs cargo-deb
	@deploy/package/build $(ARGS)

deny: ## check licences, sources and advisories of the dependencies
	@.ci/setup deny && .ci/test deny

regen: ## write schema, references, recorded errors and Grafana dashboards anew
	@.ci/regen

pictures: ## take the documentation's pictures anew, of the real page after a real failover
	@.ci/setup test && .ci/test pictures

setup: ## install what building and testing need
	@.ci/setup test

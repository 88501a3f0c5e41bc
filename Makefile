# Development tasks; `make` without a target lists them.

CARGO ?= cargo
# Additional arguments of `make run`, such as ARGS='--bind 127.0.0.1:5443', or of `make bench`, such as
# ARGS='--only introspection'.
ARGS ?=
# Binary in the package of `make deb`; empty: the release build.
BINARY ?=
# Target of `make fuzz`, and its duration in seconds.
TARGET ?= form_bodies
SECONDS ?= 1200

.DEFAULT_GOAL := help
.PHONY: help run build deb image test test-deb lint audit bench conformance fuzz

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: ## Build and start a development server on https://localhost:5000
	$(CARGO) run --locked -- serve --dev $(ARGS)

build: ## Build target/release/sentinel
	$(CARGO) build --release --locked

deb: ## Build the Debian package target/sentinel_*.deb, with the release build or BINARY
	$(if $(BINARY),,$(MAKE) build)
	config/deb/build.sh $(or $(BINARY),target/release/sentinel)

# Docker before version 23 uses BuildKit only with this variable.
image: ## Build the container image sentinel; needs Docker with BuildKit
	DOCKER_BUILDKIT=1 docker build --tag sentinel .

test: ## Install the dependencies of the tests, and run all tests
	CARGO='$(CARGO)' tests/setup.sh
	CARGO='$(CARGO)' tests/run.sh

test-deb: deb ## Install, upgrade and remove the package in a clean Debian 12; needs root and debootstrap
	tests/deb.sh target/sentinel_*.deb

lint: ## Check formatting and lints; dependencies with cargo-deny, docker-compose.yml with docker compose
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path tests/fuzz/Cargo.toml
	$(CARGO) clippy --all-targets --locked -- -D warnings
	if $(CARGO) deny --version >/dev/null 2>&1; \
	then $(CARGO) deny --locked check bans licenses sources; \
	else echo 'lint: cargo-deny is not installed; skipped the check of the dependencies'; \
	fi
	if ! $(CARGO) deny --version >/dev/null 2>&1; then :; \
	elif $(CARGO) deny --locked fetch db >/dev/null 2>&1; \
	then $(MAKE) audit; \
	else echo 'lint: cannot download the advisory database; did NOT check for known vulnerabilities'; \
	fi
	if docker compose version >/dev/null 2>&1; \
	then docker compose config --quiet; \
	else echo 'lint: docker compose is not installed; skipped the check of docker-compose.yml'; \
	fi

audit: ## Check the dependencies for known vulnerabilities; needs cargo-deny and the network
	$(CARGO) deny --locked check advisories

bench: ## Compare performance with baselines; needs two processor cores and ten minutes
	$(CARGO) bench --locked --bench bench -- $(ARGS)

conformance: build ## Run third-party tools, proxies and resource servers against the release build; needs Debian packages
	CARGO='$(CARGO)' tests/setup.sh
	tests/conformance/run.sh

# The stable compiler has sanitizers only with RUSTC_BOOTSTRAP. Leak detection is off: actix-web's router leaks the
# names in its paths deliberately, once.
fuzz: ## Fuzz TARGET for SECONDS; needs cargo-fuzz (docs/fuzzing.md)
	mkdir -p target/fuzz/corpus/$(TARGET)
	ASAN_OPTIONS=detect_leaks=0 RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz $(TARGET) \
	target/fuzz/corpus/$(TARGET) tests/fuzz/seeds/$(TARGET) -- \
	-max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=2048 -max_len=4096 -detect_leaks=0

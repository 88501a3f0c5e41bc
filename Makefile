# What can be done here; `make` alone lists it.

CARGO ?= cargo
# More arguments for `make run`, such as ARGS='--bind 127.0.0.1:5443', or for `make bench`, such as
# ARGS='--only introspection'.
ARGS ?=
# What `make fuzz` fuzzes, and for how long.
TARGET ?= form_bodies
SECONDS ?= 1200

.DEFAULT_GOAL := help
.PHONY: help run build test lint audit bench conformance fuzz

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: ## Build, and start a server for development on https://localhost:5000
	$(CARGO) run --locked -- serve --dev $(ARGS)

build: ## Build target/release/sentinel
	$(CARGO) build --release --locked

test: ## Install what the tests need, and run all of them
	tests/setup.sh
	CARGO='$(CARGO)' tests/run.sh

lint: ## Check formatting, lints and, with cargo-deny and docker compose installed, what they are for
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path tests/fuzz/Cargo.toml
	$(CARGO) clippy --all-targets --locked -- -D warnings
	if $(CARGO) deny --version >/dev/null 2>&1; \
	then $(CARGO) deny --locked check bans licenses sources; \
	else echo 'lint: cargo-deny is not installed; the check of the dependencies was left out'; \
	fi
	if ! $(CARGO) deny --version >/dev/null 2>&1; then :; \
	elif $(CARGO) deny --locked fetch db >/dev/null 2>&1; \
	then $(MAKE) audit; \
	else echo 'lint: the database of advisories cannot be had; known vulnerabilities were NOT looked for'; \
	fi
	if docker compose version >/dev/null 2>&1; \
	then docker compose config --quiet; \
	else echo 'lint: docker compose is not installed; the check of docker-compose.yml was left out'; \
	fi

audit: ## Look for known vulnerabilities in the dependencies: needs cargo-deny and the network
	$(CARGO) deny --locked check advisories

bench: ## Measure beside baselines: needs two processor cores and ten minutes
	$(CARGO) bench --locked --bench bench -- $(ARGS)

conformance: build ## Run third-party HTTP and TLS tools against the release build; needs Debian packages
	tests/setup.sh
	tests/conformance/run.sh

# Sanitizers are not in the stable compiler without RUSTC_BOOTSTRAP. Leaks are not looked for: a router of actix-web
# leaks the names in its paths, once and on purpose.
fuzz: ## Fuzz TARGET for SECONDS; needs cargo-fuzz (docs/fuzzing.md)
	mkdir -p target/fuzz/corpus/$(TARGET)
	ASAN_OPTIONS=detect_leaks=0 RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz $(TARGET) \
	target/fuzz/corpus/$(TARGET) tests/fuzz/seeds/$(TARGET) -- \
	-max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=2048 -max_len=4096 -detect_leaks=0

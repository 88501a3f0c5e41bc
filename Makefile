# What can be done here; `make` alone lists it.

CARGO ?= cargo
# More arguments for `make run`, such as ARGS='--bind 127.0.0.1:5443', or for `make bench`, such as
# ARGS='--only introspection'.
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run build test lint bench

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: ## Build, and start a server for development on https://localhost:5000
	$(CARGO) run --locked -- serve --dev $(ARGS)

build: ## Build target/release/sentinel
	$(CARGO) build --release --locked

test: ## Install what the tests need, and run all of them
	tests/setup.sh
	CARGO='$(CARGO)' tests/run.sh

lint: ## Check formatting, lints and, with cargo-deny and docker compose installed, what they are for
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	if $(CARGO) deny --version >/dev/null 2>&1; \
	then $(CARGO) deny --locked check; \
	else echo 'lint: cargo-deny is not installed; the check of the dependencies was left out'; \
	fi
	if docker compose version >/dev/null 2>&1; \
	then docker compose config --quiet; \
	else echo 'lint: docker compose is not installed; the check of docker-compose.yml was left out'; \
	fi

bench: ## Measure beside baselines: needs two processor cores and ten minutes
	$(CARGO) bench --locked --bench bench -- $(ARGS)

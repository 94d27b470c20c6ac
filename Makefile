# The commands of this project. They need Rust and, once, Go (tests/local/control-plane-binaries);
# PostgreSQL as tests/local/postgres-binaries says.

# Alone, `make` says what it can do.
.DEFAULT_GOAL := help

with-servers := tests/local/with-servers

.PHONY: help demo test soak bench bench-fair bench-latency build fmt clean

help: ## Say what there is to make
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS='	' read -r target text; do \
		printf 'make %-13s %s\n' "$$target" "$$text"; done

demo: ## See it work on a cluster and a database of its own; KEEP=1 leaves all running until Ctrl-C
	cargo build --release --locked --bins --example demo
	DBQO_DEMO_KEEP=$(KEEP) $(with-servers) cargo run --quiet --release --locked --example demo

test: ## Check format, lints, documentation, and run all tests, on servers of their own
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
	# Tests on servers spend their time waiting: more of them at a time than there are cores.
	RUST_TEST_THREADS=8 $(with-servers) cargo test --locked

soak: ## Kill the operator at every write it makes, and let anything happen in any order; SOAK=3 does so three times over
	PROPTEST_CASES=$$((20000 * $(or $(SOAK),1))) cargo test --locked --lib state::
	DBQO_SOAK=$(or $(SOAK),1) $(with-servers) cargo test --locked --test e2e crash -- --nocapture
	DBQO_SOAK=$(or $(SOAK),1) $(with-servers) cargo test --locked --test e2e chaos -- --nocapture
	DBQO_SOAK=$(or $(SOAK),1) $(with-servers) cargo test --locked --test e2e storm -- --nocapture
	$(with-servers) cargo test --locked --test e2e queue_of_notifications -- --include-ignored

bench: ## Measure rendering and comparing, first sync, memory, log, restart and idling
	cargo bench --locked --bench render --bench inventory
	# With flushes, as a real database has them.
	DBQO_LOCAL_FSYNC=on $(with-servers) cargo bench --locked --bench sync --bench idle

bench-fair: ## Measure a small resource alone, and beside one of 10,000 rows
	DBQO_LOCAL_FSYNC=on $(with-servers) cargo bench --locked --bench fair

bench-latency: ## Measure from COMMIT to the changed object, and what notifications cost those who write
	DBQO_LOCAL_FSYNC=on $(with-servers) cargo bench --locked --bench latency --bench writers

build: ## Build the operator, target/release/dbqo
	cargo build --release --locked

fmt: ## Format the sources
	cargo fmt

clean: ## Remove what was built here; the control plane stays cached
	cargo clean

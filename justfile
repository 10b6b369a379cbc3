# One recipe for each task of a developer. `just` lists them; each command also works without just.

export CARGO_INCREMENTAL := "0"

_default:
    @just --list --unsorted

# Run all tests; install what they need
test:
    scripts/test

# Run the tests whose name contains NAME: just one bootseal-core a_flipped_byte
one crate name *options:
    cargo test -p {{crate}} --all-features {{options}} -- {{name}}

# Type-check everything
check:
    cargo check --workspace --all-features --all-targets

# Check format, lints, workflows
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
    .ci/lint-workflows

# Format all code
fmt:
    cargo fmt --all

# Check the links of the pages; build the API docs, warnings are errors
docs:
    .ci/check-links
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features --locked

# Regenerate docs/cli.md from the program's help
pages:
    BOOTSEAL_WRITE_PAGES=1 cargo test -p bootseal-cli --all-features --test docs_are_true cli_md_is_the_help

# Kill each verb that writes a file this often
kills number="200":
    BOOTSEAL_TEST_KILLS={{number}} cargo test -p bootseal-cli --all-features --test cli crash -- --nocapture

# Measure the memory for files with as much as the format allows
limits:
    BOOTSEAL_TEST_WHOLE=1 cargo test -p bootseal-cli --all-features --test cli bounded_memory

# Call nginx over HTTP/2 this often, over its GOAWAYs and reloads
nginx calls="32000":
    BOOTSEAL_TEST_NGINX_CALLS={{calls}} cargo test -p bootseal-gateway --all-features --test gateway nginx_upstream -- --nocapture

# Send the gateway this many broken requests in HTTP/1.1 and HTTP/2
fuzz-callers rounds="10000" seed="26":
    BOOTSEAL_TEST_FUZZ_ROUNDS={{rounds}} BOOTSEAL_TEST_FUZZ_SEED={{seed}} cargo test -p bootseal-gateway --all-features --test gateway fuzzed_callers -- --nocapture

# Send broken responses to the gateway this often, from a seed
fuzz-upstream rounds="10000" seed="20261130":
    BOOTSEAL_TEST_FUZZ_ROUNDS={{rounds}} BOOTSEAL_TEST_FUZZ_SEED={{seed}} cargo test -p bootseal-gateway --all-features --test gateway fuzzed_upstream

# Fuzz one parser, for example: just fuzz sealed_file 60
fuzz target seconds="300":
    cargo +nightly fuzz run {{target}} -- -max_total_time={{seconds}} -rss_limit_mb=4096

# Measure single paths of the loader, and compare the command line with age and sops
bench:
    cargo bench -p bootseal --all-features --bench paths
    cargo build --profile dist --locked -p bootseal-cli
    python3 benches/peers.py target/dist/bootseal

# Compare the gateway with nginx and Envoy
bench-gateway *options:
    scripts/bench-gateway {{options}}

# Run everything that a change must pass: tests, lints, docs, licences
ci:
    .ci/run

# Run the long suites: Miri, fuzzing, kills, each feature alone, benchmarks
nightly:
    .ci/nightly

# Build the released programs: the command line, and the trained gateway
release:
    cargo build --profile dist --locked -p bootseal-cli
    scripts/build-gateway

#!/bin/bash
# What `leakwatch diagnose` shows of the story, from a real Apache that leaks: terminal output for 80
# and 120 columns and the page, in target/pictures. Needs what tests/diagnose.rs needs (root, Apache).
set -euo pipefail
cd "$(dirname "$0")/.."
export LEAKWATCH_PICTURES=${1:-$PWD/target/pictures}
mkdir -p "$LEAKWATCH_PICTURES"
cargo test --test diagnose -- the_culprit_is_named --nocapture

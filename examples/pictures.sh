#!/bin/bash
# What `leakwatch diagnose` shows of the story, from a real Apache that leaks beside a MariaDB and an
# FTP server: terminal output for 80 and 120 columns, the page, and readme.txt, the part that the
# README shows. Into target/pictures, or the directory given. Needs what tests/diagnose.rs needs.
set -euo pipefail
cd "$(dirname "$0")/.."
export LEAKWATCH_PICTURES=${1:-$PWD/target/pictures}
mkdir -p "$LEAKWATCH_PICTURES"
cargo test --test diagnose -- the_culprit_is_named

# Without colours, and with other names for what only says where it was made: host, kernel, temporary
# files, the cgroup of the test.
sed -E -e 's/\x1b\[[0-9;]*m//g' \
    -e "s/ on $(hostname): / on vps1: /" -e "s/$(uname -r)/6.1.0/" \
    -e 's#/tmp/\.tmp[A-Za-z0-9]+/apache\.conf#/srv/shop/apache.conf#g' \
    -e 's#/tmp/\.tmp[A-Za-z0-9]+/#/var/log/#g' -e 's#/tmp/\.tmp[A-Za-z0-9]+#/srv/shop#g' \
    -e 's#[^ ]*leakwatch-test-[0-9-]+#/shop#g' \
    "$LEAKWATCH_PICTURES/diagnose-80.ansi" >"$LEAKWATCH_PICTURES/readme.txt"
echo "pictures are in $LEAKWATCH_PICTURES"

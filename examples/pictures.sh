#!/bin/bash
# What `leakwatch diagnose` shows of the story, from a real Apache that leaks beside a MariaDB and an
# FTP server: terminal output for 80 and 120 columns, the page, and readme.txt, the part that the
# README shows. Into target/pictures, or the directory given. Needs what tests/end_to_end/diagnose.rs needs.
set -euo pipefail
cd "$(dirname "$0")/.."
export LEAKWATCH_PICTURES=${1:-$PWD/target/pictures}
mkdir -p "$LEAKWATCH_PICTURES"
cargo test --test end_to_end the_culprit_is_named -- --include-ignored

# Without colours, and with other names for what only says where it was made. Host, cgroup and logs are
# called so while it is made, since lines are broken by their length. What is left of temporary files
# stands in lines that are never broken; the kernel's name and the cgroups that the test itself runs in
# do not: the head and the limits are broken anew.
uname=$(uname -r) perl -MText::Wrap=wrap -0777 -pe '
    BEGIN { $Text::Wrap::columns = 81; $Text::Wrap::unexpand = 0 }
    sub anew {
        my ($lead, $text) = @_;
        $text =~ s/\s+/ /g;
        $text =~ s/ $//;
        $text =~ s/\Q$ENV{uname}\E/6.1.0/;
        $text =~ s#memory cgroup \S*/shop#memory cgroup /shop#;
        return wrap($lead, " " x length $lead, $text) . "\n";
    }
    s/\e\[[0-9;]*m//g;
    s#/tmp/\.tmp[A-Za-z0-9]+#/srv/shop#g;
    s/\A(.*?\n)\n/anew("", $1) . "\n"/se;
    s/^  - (.*\n(?:    .*\n)*)/anew("  - ", $1)/gme;
' "$LEAKWATCH_PICTURES/diagnose-80.ansi" >"$LEAKWATCH_PICTURES/readme.txt"
echo "pictures are in $LEAKWATCH_PICTURES"

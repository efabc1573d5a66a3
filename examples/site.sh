#!/bin/sh
# The man pages as pages of a site, with an index and the pictures of the README, into DIR (target/site), ready
# for any static host: examples/site.sh [DIR]. Needs mandoc.
set -eu
cd "$(dirname "$0")/.."
site=${1:-target/site}
mkdir -p "$site"
description=$(sed -n 's/^description = "\(.*\)"/\1/p' Cargo.toml)
style='body { max-width: 48em; margin: 2em auto; padding: 0 1em; font-family: sans-serif; line-height: 1.5; }
pre, table { overflow-x: auto; } td, th { padding: 0 1em 0 0; text-align: left; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #ddd; } a { color: #8bf; } }'
printf '%s\n' "$style" >"$site/style.css"
for page in man/*; do
    # Names of our own pages become links; the pages of others are no files here.
    mandoc -T html -O style=style.css "$page" |
        sed -E 's#<[bi]>(leakwatch[a-z.-]*)</[bi]>\(([0-9])\)#<a href="\1.\2.html">\1(\2)</a>#g' >"$site/${page#man/}.html"
done
{
    printf '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>leakwatch</title>\n'
    printf '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="style.css"></head><body>\n'
    printf '<h1>leakwatch</h1>\n<p>%s.</p>\n' "$description"
    for picture in $(grep -o '(\(examples\|tests\)/[^)]*\.\(svg\|png\|gif\))' README.md | tr -d '()'); do
        cp "$picture" "$site/"
        printf '<p><img src="%s" alt="leakwatch on a terminal"></p>\n' "${picture##*/}"
    done
    printf '<ul>\n'
    for page in man/*; do
        title=$(sed -n 's/\\-/-/g; s/^\(leakwatch.*\) - /\1: /p' "$page" | head -n 1)
        printf '<li><a href="%s.html">%s</a></li>\n' "${page#man/}" "${title:-${page#man/}}"
    done
    printf '</ul></body></html>\n'
} >"$site/index.html"
echo "the site is in $site"

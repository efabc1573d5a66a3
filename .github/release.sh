#!/bin/sh
# Makes all that a release has into DIR (target/dist): for x86_64 and for aarch64 a static binary with its
# documents as .tar.gz, a .deb and a .rpm; the list of what is inside (CycloneDX); SHA-256 sums of all.
#
#     .github/release.sh [DIR]
#
# Nothing but Rust is needed, no C compiler and no linker of the other machine: rustc brings the linker and
# the C library (musl). The dependencies have no C. What else is needed, once:
#
#     rustup target add x86_64-unknown-linux-musl aarch64-unknown-linux-musl
#     cargo install --locked cargo-deb cargo-generate-rpm cargo-cyclonedx
set -eu
cd "$(dirname "$0")/.."
dist=${1:-target/dist}
mkdir -p "$dist"
dist=$(cd "$dist" && pwd)
built=${CARGO_TARGET_DIR:-$PWD/target}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
rm -f "$dist"/leakwatch[-_]"$version"* "$dist/SHA256SUMS"

# The same sources give the same files wherever and whenever they are built.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
export SOURCE_DATE_EPOCH
export RUSTFLAGS="--remap-path-prefix=$PWD=leakwatch --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld

for target in x86_64-unknown-linux-musl aarch64-unknown-linux-musl; do
    cargo build --release --locked --target "$target"

    name=leakwatch-$version-$target
    root=$built/$target/dist/$name
    rm -rf "$root"
    mkdir -p "$root"
    install -m 755 "$built/$target/release/leakwatch" "$root/"
    cp -R man examples README.md CHANGELOG.md LICENSE "$root/"
    rm -rf "$root"/examples/*.rs "$root/examples/score" "$root/examples/pictures.sh"
    tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        -C "$root/.." -cf - "$name" | gzip -9n >"$dist/$name.tar.gz"

    cargo deb --no-build --no-strip --target "$target" --output "$dist/"
    # gzip: the rpm of old systems reads nothing newer. A static binary requires no library.
    cargo generate-rpm --target "$target" --target-dir "$built" --auto-req disabled \
        --payload-compress gzip --output "$dist/"
done

# By name and version only: where this was built is nobody's matter.
cargo cyclonedx --format json --override-filename leakwatch.cdx --quiet
sed "s#path+file://$PWD##g" leakwatch.cdx.json >"$dist/leakwatch-$version.cdx.json"
rm leakwatch.cdx.json

cd "$dist"
sha256sum leakwatch[-_]"$version"* >SHA256SUMS
ls -l

#!/bin/sh
# NEON against this processor, bit by bit: builds hashes.c for AArch64, runs it under emulation, and compares.
# usage: run.sh SOURCE_FOLDER NATIVE_PROGRAM; exit 77 = skipped (scripts/setup.sh --neon installs what it needs)
set -eu
source=$1 native=$2
for tool in aarch64-linux-gnu-gcc qemu-aarch64; do
    command -v $tool >/dev/null || { echo "SKIPPED: no $tool (scripts/setup.sh --neon)"; exit 77; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/include"
for header in xxhash.h xxh3.h; do # the header is the library: Debian's is the same for all processors
    [ ! -e /usr/include/$header ] || cp /usr/include/$header "$folder/include/"
done
printf '#define XXH_IMPLEMENTATION\n#define XXH_STATIC_LINKING_ONLY\n#include <xxhash.h>\n' >"$folder/xxhash.c"
cd "$source"
sources=$(ls src/base/*.c src/numerics/*.c src/learn/*.c src/graph/*.c src/engine/native/*.c |
    grep -v -e _test.c -e kernels_avx)
aarch64-linux-gnu-gcc -std=c11 -O2 -ffp-contract=off -D_POSIX_C_SOURCE=200809L -Isrc -Iinclude -I"$folder/include" \
    $sources tests/neon/hashes.c "$folder/xxhash.c" -static -lm -lpthread -o "$folder/hashes"
"$native" >"$folder/native.txt"
qemu-aarch64 "$folder/hashes" >"$folder/neon.txt"
for table in scalar neon; do
    CUTTLEFISH_KERNELS=$table qemu-aarch64 "$folder/hashes" | diff "$folder/native.txt" - ||
        { echo "$table on AArch64 differs"; exit 1; }
done
[ "$(wc -l <"$folder/native.txt")" = 3 ]
cat "$folder/native.txt"

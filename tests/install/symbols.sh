#!/bin/sh
# The shared library offers exactly docs/abi/symbols.txt; the static one shows nothing but cf_ names.
# Arguments: build folder, source folder.
set -eu
build=$1 source=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nm -D --defined-only "$build/libcuttlefish.so" | awk '{print $3}' | LC_ALL=C sort >"$work/shared"
if ! diff -u "$source/docs/abi/symbols.txt" "$work/shared"; then
    echo "the symbols of libcuttlefish.so are not those of docs/abi/symbols.txt (a removed one breaks programs)"
    exit 1
fi
nm -g --defined-only "$build/libcuttlefish.a" | awk 'NF == 3 {print $3}' | LC_ALL=C sort >"$work/static"
if ! diff -u "$source/docs/abi/symbols.txt" "$work/static"; then
    echo "the symbols of libcuttlefish.a are not those of docs/abi/symbols.txt"
    exit 1
fi
readelf -d "$build/libcuttlefish.so" | grep -q 'SONAME.*libcuttlefish\.so\.[0-9]' || { echo "no SONAME"; exit 1; }

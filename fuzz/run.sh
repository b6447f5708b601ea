#!/bin/sh
# Builds the fuzz targets with clang and runs each for a while, as many at a time as there are cores.
#
#   fuzz/run.sh [SECONDS [TARGET...]]       default: 60 seconds, every fuzz/fuzz_*.c
#
# Seeds come from fuzz/corpus/<target>; what is found grows build/fuzz/corpus/<target>. An input that crashes,
# leaks, hangs for 20 s or takes 2 GiB stays in build/fuzz/found/ and fails the run.
set -eu
cd "$(dirname "$0")/.."
build=build/fuzz
seconds=${1:-60}
[ $# -eq 0 ] || shift
if [ $# -eq 0 ]; then
    # shellcheck disable=SC2046 # file names without spaces
    set -- $(for source in fuzz/fuzz_*.c; do basename "$source" .c; done)
fi

mkdir -p "$build"
cmake -S . -B "$build" -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCF_BUILD_TESTS=OFF \
    -DCF_BUILD_FUZZ=ON -DCF_SANITIZE=fuzzer-no-link,address,undefined >"$build.log" 2>&1 ||
    { cat "$build.log"; exit 1; }
cmake --build "$build" --target fuzz >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }

# Prints one line; the log of a failure follows it.
run_target() { # TARGET
    target=$1
    mkdir -p "$build/corpus/$target" "$build/found"
    seeds=
    [ ! -d "fuzz/corpus/$target" ] || seeds="fuzz/corpus/$target"
    # shellcheck disable=SC2086 # no seeds: no argument
    if "$build/fuzz/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$build/found/$target-" "$build/corpus/$target" $seeds >"$build/$target.log" 2>&1; then
        printf 'fuzz: %-20s %9s inputs in %s s, nothing found\n' "$target" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$target.log")" "$seconds"
    else
        printf 'fuzz: %-20s FAILED; from %s:\n' "$target" "$build/$target.log"
        grep -A 25 -E 'ERROR:|runtime error:' "$build/$target.log" | head -40
        grep -E 'Test unit written|^Base64' "$build/$target.log"
        return 1
    fi
}

# Rounds of as many targets as there are cores: simple, and each round lasts the same time.
failed=0
wait_for_round() {
    for process in $running; do
        wait "$process" || failed=1
    done
    running=
    in_round=0
}
running=
in_round=0
cores=$(nproc 2>/dev/null || echo 2)
for target in "$@"; do
    run_target "$target" &
    running="$running $!"
    in_round=$((in_round + 1))
    [ "$in_round" -lt "$cores" ] || wait_for_round
done
wait_for_round
[ "$failed" -eq 0 ] && printf 'fuzz: all of %s targets passed\n' "$#"
exit "$failed"

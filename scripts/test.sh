#!/bin/bash
# Installs what is missing and runs every test; the last lines are those of the release build's ctest.
#
#   scripts/test.sh                     everything (see the steps at the end)
#   CF_TEST_QUICK=1 scripts/test.sh     the release build and its tests alone
#   CF_FUZZ_SECONDS=600 scripts/test.sh longer fuzzing (default: 60 seconds for each target)
#   CF_SIM_SEEDS=100000 scripts/test.sh more seeds of the simulator (default: 2,000)
#
# A step that fails does not stop the others; the exit code is 0 only when all of them passed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
readonly logs=build/test-logs
readonly jobs=${CF_TEST_JOBS:-$(nproc)}
readonly fuzz_seconds=${CF_FUZZ_SECONDS:-60}
summary=()
failed=0

# Runs a step with its output on the screen and in a log, and notes how it went.
step() { # NAME COMMAND...
    local name=$1 start=$SECONDS outcome=passed
    shift
    printf '\n==== %s\n' "$name"
    if ! "$@" 2>&1 | tee "$logs/$name.log"; then
        outcome=FAILED
        failed=1
    fi
    summary+=("$(printf '%-16s %s in %d s%s' "$name" "$outcome" $((SECONDS - start)) "$(closing_line "$name")")")
}

# ctest's or the fuzzer's own count, when the step has one.
closing_line() { # NAME
    local line
    line=$(grep -hE '^[0-9]+% tests passed|^fuzz: all|^No tests were found' "$logs/$1.log" | tail -1)
    printf '%s' "${line:+: $line}"
}

build() { # PRESET [TARGET...]
    local preset=$1
    shift
    cmake --preset "$preset" && cmake --build --preset "$preset" --parallel "$jobs" ${@:+--target "$@"}
}

# Absent data is no failure: the tests that need it say so and count as skipped.
fetch_mnist() {
    build/ci/cuttlefish data get mnist || printf 'MNIST could not be fetched: the tests that need it are skipped\n'
}

# The tests run in other folders than this.
use_mnist() {
    export CUTTLEFISH_DATA=${CUTTLEFISH_DATA:-$PWD/data/mnist}
}

run_tests() { # PRESET [CTEST ARGUMENTS...]
    local preset=$1
    shift
    ctest --preset "$preset" --parallel "$jobs" "$@"
}

# Data races can only be where there are threads, so only the tests with that label are built.
thread_tests() {
    local targets
    cmake --preset tsan || return 1
    mapfile -t targets < <(ctest --preset tsan -N -L threads | sed -n 's/^ *Test *#[0-9]*: *\(.*\)/test_\1/p' | tr . _)
    [ ${#targets[@]} -gt 0 ] || { printf 'no test has the label threads\n'; return 1; }
    build tsan "${targets[@]}" && run_tests tsan -L threads
}

mkdir -p "$logs"
export CTEST_OUTPUT_ON_FAILURE=1
if [ -n "${CF_TEST_QUICK:-}" ]; then
    step setup scripts/setup.sh
    step release-build build ci
    step data fetch_mnist
    use_mnist
else
    step setup scripts/setup.sh --fuzz --neon
    step release-build build ci
    step data fetch_mnist
    use_mnist
    step debug-build build dev
    step debug run_tests dev -L golden
    step fuzz fuzz/run.sh "$fuzz_seconds"
    step thread-sanitizer thread_tests
    step sanitizer-build build asan
    step sanitizer run_tests asan
fi
export CF_SIM_SEEDS=${CF_SIM_SEEDS:-2000} # the simulator's many seeds, in the fast build
step release run_tests ci

printf '\n==== summary, %d minutes\n' $((SECONDS / 60))
printf '%s\n' "${summary[@]}"
printf '\n'
sed -n '/tests passed,/,$p' "$logs/release.log"
[ "$failed" -eq 0 ] || printf '\nFAILED: see the summary above and %s/\n' "$logs"
exit "$failed"

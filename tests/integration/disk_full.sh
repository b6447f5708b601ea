#!/bin/sh
# A disk that is full in the middle of a run: exit code 1, the message names the file, and the run goes on from its last
# whole checkpoint once there is room. Needs the right to mount a tmpfs; without it the test is skipped.
. "$(dirname "$0")/lib.sh"
write_rings
mkdir small
if ! mount -t tmpfs -o size=96k tmpfs small 2>/dev/null; then
    echo "SKIPPED: mounting a tmpfs is not allowed here"
    exit 77
fi
trap 'umount small; cd /; rm -rf "$WORK"' EXIT

run train rings.yaml --quiet --json --run whole
chain=$(json out chain)
run train rings.yaml --quiet --run small/run --steps 40
expect_code 0
dd if=/dev/zero of=small/filler bs=1k count=96 2>/dev/null
run train rings.yaml --quiet --run small/run --resume
expect_code 1
expect_err "small/run"
expect_err "No space left on device"
run predict rings.yaml test:1 --run small/run
expect_code 0
rm small/filler
run train rings.yaml --quiet --json --run small/run --resume
expect_code 0
expect "the same bits after a full disk" test "$(json out chain)" = "$chain"
finish

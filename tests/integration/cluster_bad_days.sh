#!/bin/sh
# Disks that are full, not writable, or too small for the store: the container is named with the reason, and training
# ends with the same bits once the cause is gone. Volumes need the right to mount a tmpfs; without it they are left out.
. "$(dirname "$0")/lib.sh"
write_rings
mounted=""
clean_up() {
    for folder in full locked small; do
        "$CUTTLEFISH" down rings.yaml --run $folder >/dev/null 2>&1
    done
    [ -n "$mounted" ] && umount "$mounted" 2>/dev/null
    cd /
    rm -rf "$WORK"
}
trap clean_up EXIT

# same_as_train FOLDER: the cluster in it, run to its end
same_as_train() {
    run up rings.yaml --run "$1" --wait --json --quiet
    expect_code 0
    expect "other bits than train in $1" test "$(json out chain)" = "$chain"
}

# bad_volume FOLDER OPTIONS REASON: the volume of 'hidden' becomes a tmpfs with these options
bad_volume() {
    run up rings.yaml --run "$1" --steps "$steps"
    expect_code 0
    run down rings.yaml --run "$1" --keep
    expect_code 0
    mounted=$1/cluster/volumes/hidden
    rm -f "$mounted"/*
    if ! mount -t tmpfs -o "$2" tmpfs "$mounted" 2>/dev/null; then
        mounted=""
        echo "LEFT OUT: mounting a tmpfs is not allowed here"
        return
    fi
    run up rings.yaml --run "$1" --steps "$steps" # may see it run for a moment
    for i in $(seq 100); do
        run logs rings.yaml hidden --run "$1"
        grep -q "volumes/hidden/hidden.wal" out && break
        sleep 0.1
    done
    expect_out "volumes/hidden/hidden.wal"
    expect_out "$3"
    for i in $(seq 100); do
        run status rings.yaml --run "$1"
        grep -q "hidden [a-z]*: .*exit code 4" out && break
        sleep 0.1
    done
    expect_out "exit code 4"
    umount "$mounted"
    mounted=""
    run down rings.yaml --run "$1" --keep
    same_as_train "$1"
    run down rings.yaml --run "$1"
}

run train rings.yaml --run whole --json --quiet
expect_code 0
chain=$(json out chain)
steps=$(json out steps)
bad_volume full size=4k "No space left on device"
bad_volume locked ro "Read-only file system"

export CUTTLEFISH_THREADS=1 # many threads on a busy machine wait for one another
# A store of 1 MiB holds one state of this network, not three.
sed -i 's/units: 16/units: 20000/; s/epochs: 20/epochs: 8/' rings.yaml
run train rings.yaml --run whole2 --json --quiet
expect_code 0
chain=$(json out chain)
steps=$(json out steps)
run up rings.yaml --set 'store={lmdb: {size: 1MiB}}' --run small --steps "$steps"
expect_code 0
for i in $(seq 600); do
    run logs rings.yaml hidden --run small
    grep -q "the store is full" out && break
    sleep 0.1
done
expect_out "raise store.lmdb.size"
for i in $(seq 600); do
    run status rings.yaml --run small
    grep -Eq "^ *hidden .*running.* store" out && break
    sleep 0.1
done
expect "nobody waits for the store" grep -Eq "^ *hidden .*running.* store" out
expect "it ended with a store too small" grep -q "rings  running" out
run down rings.yaml --run small --keep
expect_code 0
run up rings.yaml --set 'store={lmdb: {size: 64MiB}}' --run small --steps "$steps"
expect_code 0
same_as_train small
finish

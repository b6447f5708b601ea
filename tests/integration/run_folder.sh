#!/bin/sh
# Run folders that cannot be written, are damaged, or belong to another network: a clear message, nothing lost.
. "$(dirname "$0")/lib.sh"
write_rings

# a file where the folder should be (tests may run as root, so permissions prove nothing)
echo precious >occupied
run train rings.yaml --run occupied/run --steps 1
expect_code 1
expect_err "occupied"
run train rings.yaml --run occupied --steps 1
[ "$code" != 0 ] || failed "a file was taken for a run folder"
expect_err "occupied"
expect "the file is untouched" test "$(cat occupied)" = precious
echo precious >runs
run train rings.yaml --steps 1
expect_code 1
expect_err "runs"
expect "the file is untouched" test "$(cat runs)" = precious
rm runs

# the newest checkpoint torn, in each of its files: the one before is taken, with the same end
run train rings.yaml --quiet --json --run whole
expect_code 0
chain=$(json out chain)
for file in weights.safetensors state.safetensors manifest.json; do
    rm -rf torn
    run train rings.yaml --quiet --run torn --steps 200
    expect_code 0
    newest=$(ls -d torn/checkpoints/step-*[0-9] | tail -1)
    truncate -s 20 "$newest/$file"
    run train rings.yaml --json --run torn --resume
    expect_code 0
    expect "chain with a torn $file" test "$(json out chain)" = "$chain"
    run predict rings.yaml test:1 --run torn
    expect_code 0
done

# one flipped byte in the weights
rm -rf torn
run train rings.yaml --quiet --run torn --steps 200
newest=$(ls -d torn/checkpoints/step-*[0-9] | tail -1)
printf '\377' | dd of="$newest/weights.safetensors" bs=1 seek=400 conv=notrunc 2>/dev/null
run train rings.yaml --json --quiet --run torn --resume
expect_code 0
expect "chain with a flipped byte" test "$(json out chain)" = "$chain"

# every checkpoint torn: predict says so; the run's own files are still there
rm -rf torn
run train rings.yaml --quiet --run torn --steps 40
for manifest in torn/checkpoints/*/manifest.json; do
    : >"$manifest"
done
run predict rings.yaml test:1 --run torn
expect_code 1
expect_err "torn"

# resuming with a file that decides other weights is refused
rm -rf torn
run train rings.yaml --quiet --run torn --steps 40
run train rings.yaml --quiet --run torn --resume --set training.optimizer.sgd.rate=0.1
expect_code 2
expect_err "torn"
run train rings.yaml --quiet --run torn --resume --seed 12
expect_code 2
run train rings.yaml --json --quiet --run torn --resume
expect_code 0
expect "the refused ones changed nothing" test "$(json out chain)" = "$chain"
finish

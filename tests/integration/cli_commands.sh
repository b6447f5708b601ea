#!/bin/sh
# Every command on a small network: exit codes, the shape of the output, and that files stay as they should.
. "$(dirname "$0")/lib.sh"
write_rings

run version
expect_code 0
expect_out "cuttlefish 0.1.0 (kernels: "
run --version
expect_code 0
run help
expect_code 0
expect_out "usage: cuttlefish COMMAND"
expect_out "Not available yet in this version: build serve"
for command in check config plan train predict evaluate "data get" "data show" "data batches" version help \
    up status logs scale down chaos simulate; do
    # shellcheck disable=SC2086
    run help $command
    expect_code 0
    expect_out "usage: cuttlefish $command"
    # shellcheck disable=SC2086
    run $command --help
    expect_code 0
    expect_out "usage: cuttlefish $command"
    expect_silent_err
done
run help data
expect_code 0
expect_out "usage: cuttlefish data batches FILE"
run help serve
expect_code 0
expect_out "Not available yet in this version."

# check and config
run check rings.yaml
expect_code 0
expect_out "rings.yaml: ok: rings, 2 inputs, 2 outputs, 82 parameters"
expect_silent_err
run check rings.yaml --print
expect_code 0
cp out printed.yaml
run config rings.yaml
expect_code 0
expect "check --print and config agree" cmp -s out printed.yaml
run config printed.yaml
expect_code 0
expect "the resolved file resolves to itself" cmp -s out printed.yaml
run config rings.yaml --set training.batch=7 --seed 99
expect_code 0
expect "--set shows" grep -q 'batch: 7' out
expect "--seed shows" grep -q 'seed: 99' out
printf 'training: {batch: 33}\n' >upper.yaml
run config rings.yaml -f upper.yaml
expect "-f lays over FILE" grep -q 'batch: 33' out
run config -f rings.yaml -f upper.yaml --set training.batch=34
expect "--set comes last" grep -q 'batch: 34' out
run config --document
expect_code 0
expect_out "training"

# check: every mistake with its line, a caret, and the number of them
sed -e 's/units: 16/unitss: 16/' -e 's/epochs: 20/epochs: many/' rings.yaml >broken.yaml
run check broken.yaml
expect_code 2
expect_out "broken.yaml:7:29: network.layers[0].dense.unitss: unknown key (did you mean 'units'?)"
expect_out "    - dense: {name: hidden, unitss: 16, activation: tanh}"
expect_out "                               ^"
expect_out "broken.yaml:11:11: training.epochs:"
expect_out "problems"
run check rings.yaml --set data.csv.train=gone.csv
expect_code 2
expect_out "gone.csv"

# plan
run plan rings.yaml
expect_code 0
expect_out "hidden"
expect_out "GFLOP/s measured"
run plan rings.yaml --json --threads 1
expect_code 0
expect "parameters in the plan" test "$(json out parameters)" = 82
expect "a layer in the plan" test "$(json out layers 1 name)" = output
expect "threads in the plan" test "$(json out threads)" = 1
expect "a container in the plan" test "$(json out cluster containers 4 name)" = hidden
run plan rings.yaml --containers 3 --explain
expect_code 0
expect_out "critical path"
expect_out "in one container"
expect_out "3 containers were asked for"
run plan rings.yaml --containers 1 --json
expect_code 0
expect "one container beside controller and store" test "$(json out cluster containers 2 name)" = source+3
expect "parts" test "$(json out cluster units)" = 6
run plan rings.yaml --set 'placement.hints=[{layer: hidden, zone: b}]' --set 'placement.hosts=[{name: x, zone: a}]'
expect_code 2
expect_err "hint 1: layer 'hidden' wants zone 'b', no host of zone 'b'"

# data
run data show rings.yaml --count 3
expect_code 0
expect_out "200 training, 40 validation and 60 test samples of 2x1x1, 2 classes"
expect_out "outer"
run data show rings.yaml --part test --index 59 --count 5
expect_code 0
run data batches rings.yaml --steps 3 --json
expect_code 0
expect "one line for each step" test "$(wc -l <out)" = 3
expect "a batch has its rows" python3 -c 'import json, sys
lines = [json.loads(line) for line in open("out")]
assert [line["step"] for line in lines] == [0, 1, 2]
seen = [index for line in lines for index in line["indices"]]
assert len(seen) == 30 == len(set(seen)) and all(0 <= index < 240 for index in seen)'
cp out batches.json
run data batches rings.yaml --steps 2 --first 1 --json
expect "--first starts later in the same order" sh -c 'tail -2 batches.json | cmp -s - out'

# predict and evaluate before there is a run
run predict rings.yaml test:0
expect_code 1
expect_err "train"
run evaluate rings.yaml
expect_code 1

# train
run train rings.yaml --steps 0 --run zero --json
expect_code 0
expect "--steps 0 writes the initial weights" sh -c 'ls zero/checkpoints/*/weights.safetensors >/dev/null'
expect "no steps were made" test "$(json out steps)" = 0
run train rings.yaml --json
expect_code 0
expect "exactly these keys, in this order" test "$(python3 -c 'import json
print(" ".join(json.loads(open("out").read().splitlines()[-1])))')" = \
    "name steps epochs samples loss accuracy chain weights seconds samples_per_second kernels threads"
expect "20 epochs of 20 steps" test "$(json out steps)" = 400
expect "samples seen" test "$(json out samples)" = 4000
expect "it learns" python3 -c 'import json; assert json.loads(open("out").read())["accuracy"] > 0.9'
expect "one line for each epoch" test "$(grep -c '^epoch *[0-9]*/20 ' err)" -ge 20
expect "no terminal codes" sh -c '! grep -q "$(printf "\033")" err out'
chain=$(json out chain)
weights=$(json out weights)
expect "the default run folder" test -d runs/rings
find runs/rings -type f -exec cksum {} + | sort >before
run train rings.yaml --quiet
expect_code 0
expect_silent_err
expect_out "chain     $chain"
expect_out "weights   $weights"
expect_out "run       runs/rings-2"
find runs/rings -type f -exec cksum {} + | sort >after
expect "an earlier run is never touched" cmp -s before after
run train rings.yaml --run runs/rings --quiet
expect_code 2
expect_err "runs/rings"
find runs/rings -type f -exec cksum {} + | sort >after
expect "an earlier run is not touched by --run either" cmp -s before after

# the same bits for any number of threads and kernels, and in two halves
for threads in 1 3; do
    run train rings.yaml --json --quiet --run "threads-$threads" --threads $threads
    expect "chain with $threads threads" test "$(json out chain)" = "$chain"
done
CUTTLEFISH_KERNELS=scalar run train rings.yaml --json --quiet --run scalar
expect "chain with scalar kernels" test "$(json out chain)" = "$chain"
expect "the kernels are named" test "$(json out kernels)" = scalar
CUTTLEFISH_KERNELS=quantum run train rings.yaml --json --quiet --run quantum
expect_code 2
expect_err "quantum"
CUTTLEFISH_THREADS=2 run train rings.yaml --json --quiet --run threads-env
expect "CUTTLEFISH_THREADS" test "$(json out threads)" = 2
run train rings.yaml --json --quiet --run halves --steps 137
expect_code 0
run train rings.yaml --json --quiet --run halves --resume
expect_code 0
expect "chain in two halves" test "$(json out chain)" = "$chain"
expect "weights in two halves" test "$(json out weights)" = "$weights"
run train rings.yaml --json --quiet --run fresh --resume
expect_code 0
expect "--resume with nothing to resume starts" test "$(json out chain)" = "$chain"
run train rings.yaml --json --quiet --seed 4 --run other
expect "another seed, other weights" test "$(json out weights)" != "$weights"

# predict and evaluate
run evaluate rings.yaml --run runs/rings
expect_code 0
expect_out "on 60 test samples"
expect_out "precision"
run evaluate rings.yaml --run runs/rings --json --part validation
expect_code 0
expect "validation samples" test "$(json out samples)" = 40
expect "the confusion matrix counts all" python3 -c 'import json
result = json.loads(open("out").read())
assert sum(map(sum, result["confusion"])) == 40
right = sum(result["confusion"][i][i] for i in range(2))
assert abs(right / 40 - result["accuracy"]) < 1e-9'
run predict rings.yaml test:1 --run runs/rings
expect_code 0
expect_out "class outer (right)"
run predict rings.yaml test:1 --json
expect_code 0
expect "a class" test "$(json out class)" = outer
expect "probabilities" python3 -c 'import json
assert abs(sum(json.loads(open("out").read())["probabilities"]) - 1) < 1e-5'
echo "0.1 0.2" >numbers.txt
run predict rings.yaml numbers.txt --run runs/rings
expect_code 0
expect_out "class inner"
run predict rings.yaml numbers.txt --run "$(ls -d runs/rings/checkpoints/*/ | tail -1)weights.safetensors"
expect_code 0
expect_out "class inner"
echo "0.1 0.2 0.3" >three.txt
run predict rings.yaml three.txt
expect_code 2
expect_err "three.txt"
echo "0.1 cat" >words.txt
run predict rings.yaml words.txt
expect_code 2
expect_err "words.txt"
run predict rings.yaml gone.txt
expect_code 2
expect_err "gone.txt"
run predict rings.yaml test:60
expect_code 2
expect_err "60"
run predict rings.yaml numbers.txt --run no-such-run
expect_code 1
expect_err "no-such-run"
run predict rings.yaml numbers.txt --run runs/rings --set 'network.layers=[{dense: {name: output, units: 2}}]'
expect_code 2

# results that cannot be written
"$CUTTLEFISH" version >/dev/full 2>err
code=$?
line="cuttlefish version >/dev/full"
expect_code 1
expect_err "writing to standard output failed"
finish

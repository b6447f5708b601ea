#!/bin/sh
# Command lines that are wrong: exit code 2 and the exact message for each.
. "$(dirname "$0")/lib.sh"
write_rings

# wrong MESSAGE ARGUMENT...
wrong() {
    message=$1
    shift
    run "$@"
    expect_code 2
    expect_err "cuttlefish: $message"
    [ ! -s out ] || failed "stdout is not empty"
}

wrong "unknown command 'trian' (did you mean 'train'?)" trian rings.yaml
wrong "unknown command 'frobnicate' (see: cuttlefish help)" frobnicate
wrong "unknown command 'data shwo' (did you mean 'data show'?)" data shwo rings.yaml
wrong "data: needs one of get, show, batches (see: cuttlefish help data)" data
wrong "help: unknown command 'trian'" help trian
wrong "train: needs a network file: cuttlefish train FILE" train
wrong "check: needs a network file: cuttlefish check FILE" check
wrong "plan: needs a network file: cuttlefish plan FILE" plan
wrong "evaluate: needs a network file: cuttlefish evaluate FILE" evaluate
wrong "predict: needs a network file: cuttlefish predict FILE INPUT" predict
wrong "predict: too few arguments: cuttlefish predict FILE INPUT" predict rings.yaml
wrong "data get: too few arguments: cuttlefish data get NAME" data get
wrong "train: unexpected argument 'two.yaml': cuttlefish train FILE" train rings.yaml two.yaml
wrong "version: unexpected argument 'now': cuttlefish version " version now
wrong "train: unknown option '--stesp' (did you mean '--steps'?)" train rings.yaml --stesp 3
wrong "train: unknown option '--reusme' (did you mean '--resume'?)" train rings.yaml --reusme
wrong "train: unknown option '--xyzzyplugh' (see: cuttlefish help train)" train rings.yaml --xyzzyplugh
wrong "train: unknown option '-z' (see: cuttlefish help train)" train rings.yaml -z
wrong "check: unknown option '--jsn'" check rings.yaml --jsn
wrong "train: option '--steps' needs a value: --steps N" train rings.yaml --steps
wrong "train: option '--file' needs a value: --file FILE" train -f
wrong "train: option '--json' takes no value" train rings.yaml --json=yes
wrong "train: --steps: 'abc' is not a whole number from 0 to 9223372036854775807" train rings.yaml --steps abc
wrong "train: --steps: '-1' is not a whole number from 0 to 9223372036854775807" train rings.yaml --steps -1
wrong "train: --steps: '1e3' is not a whole number from 0 to" train rings.yaml --steps 1e3
wrong "train: --steps: '' is not a whole number from 0 to" train rings.yaml --steps ''
wrong "train: --steps: '99999999999999999999' is not a whole number" train rings.yaml --steps 99999999999999999999
wrong "train: --threads: '0' is not a whole number from 1 to 256" train rings.yaml --threads 0
wrong "train: --threads: '257' is not a whole number from 1 to 256" train rings.yaml --threads 257
wrong "plan: --threads: 'two' is not a whole number from 1 to 256" plan rings.yaml --threads=two
wrong "data show: --part: 'testing' is not train, validation or test" data show rings.yaml --part testing
wrong "data show: --count: '0' is not a whole number from 1 to 1000" data show rings.yaml --count 0
wrong "data show: --index: 200 is beyond the 200 train samples" data show rings.yaml --index 200
wrong "data batches: --steps: 'x' is not a whole number" data batches rings.yaml --steps x
wrong "config: needs a network file: cuttlefish config FILE" config
for command in build serve export import sweep; do
    wrong "$command: not available yet in this version" $command rings.yaml
done

# Files that are not there, or are no files.
wrong "missing.yaml" check missing.yaml
wrong "missing.yaml" train -f rings.yaml -f missing.yaml
mkdir folder.yaml
wrong "folder.yaml" check folder.yaml

# The command alone explains itself, on stderr.
run
expect_code 2
expect_err "usage: cuttlefish COMMAND"

# Broken values: one problem each, to stderr except for check.
for setting in training.batch=0 training.batch=abc trainnig.batch=3 seed=-1; do
    run train rings.yaml --set "$setting" --steps 0
    expect_code 2
    expect_err "--set"
    expect_err "1 problem"
done
run train rings.yaml --set nonsense
expect_code 2
run train rings.yaml --seed twelve
expect_code 2
expect_err "seed"
expect "no run was made" test ! -e runs
finish

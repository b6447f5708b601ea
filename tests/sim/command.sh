#!/bin/sh
# cuttlefish simulate: exit codes, the table, one seed as a trace, bad options.
. "$(dirname "$0")/../integration/lib.sh"
write_rings

run simulate rings.yaml --seeds 3 --steps 6
expect_code 0
expect_out "3 seeds, 18 steps"
expect_out "0 violations"
expect_out "crash in an I/O call"
run train rings.yaml --steps 6 --json
expect_code 0
chain=$(json out chain)
expect "train says its chain" test -n "$chain"
run simulate rings.yaml --seed 7 --steps 6 --json
expect_code 0
expect_out "\"chain\":\"$chain\""
expect_out "\"seeds\":1,"
run simulate rings.yaml --seed 7 --steps 6 --containers 3 --trace
expect_code 0
expect_out "seed 7: "
expect_out "HEAD: step 6"
cp out first
run simulate rings.yaml --seed 7 --steps 6 --containers 3 --trace
expect "a seed does the same again" cmp -s out first
run simulate rings.yaml --seeds 0
expect_code 2
run simulate rings.yaml --seeds 2 --trace
expect_code 2
expect_err "--trace shows one seed"
run simulate rings.yaml --containers 65
expect_code 2
run simulate missing.yaml
expect_code 2
finish

#!/usr/bin/env python3
"""The cluster's speed and memory on this machine, in one run: step rates for several cuts, fault tolerance on against
off, and PyTorch's DistributedDataParallel beside it.

    benchmarks/cluster.py [--command build/release/cuttlefish] [--python build/peers/bin/python]
                          [--rounds 3] [--json FILE]

Each case is `cuttlefish up --wait --steps N` in a folder of its own. Its rate is taken between the first and the last
HEAD that `status` shows while it trains, so that starting and ending do not count. Rounds are interleaved; medians are
shown. Without --python the peer is left out.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HALVES = "placement.neurons_per_container={hidden1: 256, hidden2: 256, output: 10}"
CASES = (  # name, file, settings, steps
    ("nielsen b10, neuron per process", "nielsen", ["placement.neurons_per_container=1"], 3000),
    ("nielsen b128, neuron per process", "nielsen", ["placement.neurons_per_container=1", "training.batch=128"], 2000),
    ("nielsen b10, layer per process", "nielsen", ["placement.neurons_per_container=all"], 20000),
    ("nielsen b128, layer per process", "nielsen",
     ["placement.neurons_per_container=all", "training.batch=128"], 10000),
    ("mlp-512 b128, 2 shards a layer", "mlp-512", [HALVES], 1500),
    ("mlp-512 b128, 2 shards a layer, HEAD every 512 steps", "mlp-512", [HALVES, "persist_every=512"], 1500),
    ("mlp-512 b128, 2 processes", "mlp-512", ["--containers=2"], 1500),
    ("nielsen b10, neuron per process, HEAD every 512 steps", "nielsen",
     ["placement.neurons_per_container=1", "persist_every=512"], 3000),
)


def command_line(options, folder, case, verb, *more):
    _, file, sets, _ = case
    line = [options.command, verb, str(ROOT / "examples" / "mnist" / f"{file}.yaml"), "--run", str(folder / "run")]
    for setting in sets:
        if not setting.startswith("--"):
            line += ["--set", setting]
        elif verb == "up":
            line.append(setting)
    return line + list(more)


def status(options, folder, case):
    line = command_line(options, folder, case, "status", "--json")
    found = subprocess.run(line, capture_output=True, text=True, check=False)
    return json.loads(found.stdout) if found.returncode == 0 and found.stdout else {}


def follow(options, folder, case, process):
    """(steps a second, largest PSS of a shard's container in bytes) while the training runs."""
    first = last = None
    largest = 0
    while process.poll() is None:
        now, seen = time.monotonic(), status(options, folder, case)
        if seen.get("head", 0) > 0:
            first = first or (now, seen["head"])
            last = (now, seen["head"])
        for container in seen.get("containers", []):
            if container.get("neurons", 0) > 0:
                largest = max(largest, container.get("pss_bytes") or 0)
        time.sleep(0.25)
    if not first or last[0] == first[0]:
        return None, largest
    return (last[1] - first[1]) / (last[0] - first[0]), largest


def measure(options, case):
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = pathlib.Path(name)
        line = command_line(options, folder, case, "up", "--wait", "--json", "--steps", str(case[3]))
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        rate, memory = follow(options, folder, case, process)
        out, err = process.communicate()
        subprocess.run(command_line(options, folder, case, "down"), capture_output=True, check=False)
        if process.returncode != 0:
            raise SystemExit(f"{case[0]}: {err.strip()}")
        result = json.loads(out.strip().splitlines()[-1])
        return {"steps_per_second": rate, "pss_bytes": memory, "chain": result["chain"]}


def measure_peer(options):
    line = [options.python, str(ROOT / "benchmarks" / "peers" / "ddp_peer.py"), "8"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS")}
    out = subprocess.run(line, capture_output=True, text=True, check=True, env=environment).stdout
    return json.loads(out.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default=str(ROOT / "build" / "release" / "cuttlefish"))
    parser.add_argument("--python", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--json", default="")
    options = parser.parse_args()
    cases = [case for case in CASES if options.only in case[0]]
    results = {case[0]: [] for case in cases}
    peer = []
    for _ in range(options.rounds):
        for case in cases:
            results[case[0]].append(measure(options, case))
        if options.python:
            peer.append(measure_peer(options))
    for case in cases:
        rates = [r["steps_per_second"] for r in results[case[0]] if r["steps_per_second"]]
        memory = max(r["pss_bytes"] for r in results[case[0]])
        rate = statistics.median(rates) if rates else float("nan")
        print(f"{case[0]:55} {rate:9.1f} steps/s   {memory / 2**20:6.2f} MiB PSS at most")
    if peer:
        samples = statistics.median(p["samples_per_second"] for p in peer)
        print(f"{'PyTorch DDP (gloo), mlp-512, 2 processes':55} {samples / 128:9.1f} steps/s   {samples:.0f} samples/s")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"cases": results, "ddp": peer}, indent=1) + "\n")


if __name__ == "__main__":
    main()

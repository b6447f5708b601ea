#!/usr/bin/env python3
"""Cuttlefish beside PyTorch, TensorFlow, JAX and ONNX Runtime on this machine, in one run.

    python3 benchmarks/compare.py                          everything: about 45 minutes, most of it the peers compiling
    python3 benchmarks/compare.py --cases a,b --threads 2  a part
    python3 benchmarks/compare.py --modes benchmarks/results/latest.json   peers' best modes known from an earlier run

For each case and thread count every mode of every peer is probed, the best of each stays, and these take turns with
ours (A B C ... A B C ...). Quote the ratios: absolute figures drift with the machine. Only one worker runs at a time.
"""

import argparse
import datetime
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

import report
from report import OURS
from workers import Worker, WorkerError

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(HERE, "peers"))
from common import CASES  # noqa: E402

PEERS = {"pytorch": "torch_peer.py", "tensorflow": "tensorflow_peer.py", "jax": "jax_peer.py",
         "onnxruntime": "onnx_peer.py"}
# What the project promises, as a ratio to the best peer.
TARGETS = {"a": 1.3, "b": 2.5, "c": 1.5, "d": 1.2, "e": 3.0, "f1": 3.0, "f256": 1.0}
PEAK_SECONDS = 0.2


def say(text):
    print(text, file=sys.stderr, flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES), help="of a,b,c,d,e,f1,f256 (default: all)")
    parser.add_argument("--threads", default="1,2", help="thread counts (default: 1,2)")
    parser.add_argument("--peers", default=",".join(PEERS), help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each worker in each round")
    parser.add_argument("--probe-seconds", type=float, default=0.5, help="of each mode, twice")
    parser.add_argument("--modes", metavar="FILE", help="results of an earlier run, whose best modes are taken")
    parser.add_argument("--data", metavar="FOLDER", help="MNIST's IDX files (default: $CUTTLEFISH_DATA, data/mnist, "
                        "the cache); without them random bytes of the same shape")
    parser.add_argument("--python", help="the interpreter that has the peers (default: build/peers, else this one)")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "benchmarks"), help="build folder for our side")
    parser.add_argument("--no-build", action="store_true", help="take what is in the build folder")
    parser.add_argument("--chain-every", type=int, default=10, help="steps between our hashes of all weights, as in "
                        "`train`; 0: none (default: 10)")
    parser.add_argument("--output", default=os.path.join(HERE, "results", "latest.json"))
    arguments = parser.parse_args()
    arguments.cases = arguments.cases.split(",")
    arguments.threads = [int(count) for count in arguments.threads.split(",")]
    arguments.peers = [name for name in arguments.peers.split(",") if name]
    for kind, given, known in (("case", arguments.cases, CASES), ("peer", arguments.peers, PEERS)):
        for name in given:
            if name not in known:
                parser.error(f"no {kind} '{name}' (there are {', '.join(known)})")
    cores = len(os.sched_getaffinity(0))
    if any(count < 1 or count > cores for count in arguments.threads):
        parser.error(f"this process may use {cores} cores; more threads than that would measure the scheduler")
    return arguments


def find_python(given):
    local = os.path.join(ROOT, "build", "peers", "bin", "python")
    return given or (local if os.path.exists(local) else sys.executable)


def find_data(given):
    places = [given] if given else [os.environ.get("CUTTLEFISH_DATA"), os.path.join(ROOT, "data", "mnist"),
                                    os.path.expanduser("~/.cache/cuttlefish/mnist")]
    for place in filter(None, places):
        if any(os.path.exists(os.path.join(place, folder, "train-images-idx3-ubyte" + ending))
               for folder in ("", "mnist") for ending in ("", ".gz")):
            return os.path.abspath(place)
    if given:
        sys.exit(f"compare.py: no MNIST files in {given}")
    say("MNIST is not here (cuttlefish data get mnist); random bytes of its shape are used")
    return ""


def build(folder):
    """Our programs, in release. A failure is told and leaves the peers to be measured alone."""
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    if os.path.exists(os.path.join(folder, "CMakeCache.txt")):
        generator = []
    commands = [["cmake", "-S", ROOT, "-B", folder, *generator, "-DCMAKE_BUILD_TYPE=Release",
                 "-DCF_BUILD_BENCHMARKS=ON", "-DCF_BUILD_TESTS=OFF"]]
    commands += [["cmake", "--build", folder, "--target", f"benchmark_{name}"] for name in ("peak", "ours")]
    for command in commands:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            say("\n".join(done.stdout.strip().splitlines()[-15:]))
            say(report.paint(f"failed: {' '.join(command)}", "bad"))


class Comparison:
    def __init__(self, arguments):
        self.arguments = arguments
        self.python = find_python(arguments.python)
        self.data = find_data(arguments.data)
        self.known_modes = {}
        if arguments.modes:
            with open(arguments.modes) as file:
                for row in json.load(file)["cases"]:
                    for name, entry in row["participants"].items():
                        self.known_modes[row["case"], row["threads"], name] = entry["mode"]

    def program(self, name):
        return os.path.join(self.arguments.build, "benchmarks", name)

    def peak(self, threads, seconds=PEAK_SECONDS):
        """GFLOP/s of fused multiply-adds now; None when the program is not there."""
        if not os.path.exists(self.program("peak")):
            return None
        cores = sorted(os.sched_getaffinity(0))[-threads:]
        done = subprocess.run([self.program("peak"), "--threads", str(threads), "--seconds", str(seconds)],
                              stdout=subprocess.PIPE, check=True, preexec_fn=lambda: os.sched_setaffinity(0, cores))
        return json.loads(done.stdout)["best"]

    def peer_command(self, name, case, *more):
        return [self.python, os.path.join(HERE, "peers", PEERS[name]), "--case", case, *more]

    def modes(self, name, case, threads):
        if (case, threads, name) in self.known_modes:
            return [self.known_modes[case, threads, name]]
        done = subprocess.run(self.peer_command(name, case, "--list-modes"), stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)

    def start_ours(self, case, threads):
        program = self.program("ours")
        if not os.path.exists(program):
            say(report.paint(f"  {program} is missing: peers only", "bad"))
            return None
        command = [program, "--case", case, "--threads", str(threads), "--chain-every", str(self.arguments.chain_every)]
        if self.data:
            command += ["--data", self.data]
        return Worker(OURS, command, threads)

    def start_best(self, name, case, threads):
        """Probes every mode; the best one's worker stays. (worker or None, {mode: steps a second})."""
        best, probes = None, {}
        for mode in self.modes(name, case, threads):
            command = self.peer_command(name, case, "--threads", str(threads), "--mode", mode, "--data", self.data)
            try:
                worker = Worker(f"{name} {mode}", command, threads, {"TORCHINDUCTOR_COMPILE_THREADS": "1"})
            except WorkerError as error:
                say(report.paint(f"  {error}", "bad"))
                continue
            try:
                probes[mode] = max(worker.go(self.arguments.probe_seconds)[0] for _ in range(2))
            except WorkerError as error:
                say(report.paint(f"  {error}", "bad"))
                worker.close()
                continue
            say(f"  {name} {mode}: {report.figure({'case': case, 'batch': CASES[case].batch}, probes[mode])}")
            loser = worker
            if best is None or probes[mode] > probes[best.facts["mode"]]:
                best, loser = worker, best
            if loser is not None:
                loser.close()
        return best, probes

    def start_all(self, case, threads):
        workers, probes = {}, {}
        try:
            ours = self.start_ours(case, threads)
            if ours is not None:
                workers[OURS] = ours
        except WorkerError as error:
            say(report.paint(f"  {error}", "bad"))
        for name in self.arguments.peers:
            worker, probes[name] = self.start_best(name, case, threads)
            if worker is not None:
                workers[name] = worker
        return workers, probes

    def run_rounds(self, workers, row):
        others = []
        for _ in range(self.arguments.rounds):
            for name in list(workers):
                try:
                    rate, foreign = workers[name].go(self.arguments.seconds)
                except WorkerError as error:
                    say(report.paint(f"  {error}; it is left out", "bad"))
                    workers.pop(name).close()
                    row["participants"].pop(name)
                    continue
                row["participants"][name]["rates"].append(rate)
                others.append(foreign)
            if row["training_flops"]:
                row["peak_gflops"].append(self.peak(row["threads"]))
        row["others"] = statistics.median(others) if others else 0.0
        row["peak_gflops"] = [gflops for gflops in row["peak_gflops"] if gflops]

    def run_case(self, case, threads):
        say(report.paint(f"case {case}, {threads} thread{'s' if threads > 1 else ''}: {CASES[case].title}", "head"))
        flops = CASES[case].training_flops if case in ("a", "d") else None
        row = {"case": case, "threads": threads, "title": CASES[case].title, "batch": CASES[case].batch,
               "training_flops": flops, "peak_gflops": [], "participants": {}}
        workers, probes = self.start_all(case, threads)
        for name, worker in workers.items():
            row["participants"][name] = {"mode": worker.facts["mode"], "version": worker.facts["version"],
                                         "probes": probes.get(name, {}), "rates": []}
        self.run_rounds(workers, row)
        Worker.close_all()
        say(f"  ours / best peer: {report.ratio_text(row)}")
        return row


def save(path, result):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path + ".tmp", "w") as file:
        json.dump(result, file, indent=1)
        file.write("\n")
    os.replace(path + ".tmp", path)


def main():
    arguments = parse_arguments()
    if not arguments.no_build:
        build(arguments.build)
    comparison = Comparison(arguments)
    peaks = {str(count): comparison.peak(count, 0.5) for count in arguments.threads}
    machine = report.machine_facts({count: gflops for count, gflops in peaks.items() if gflops})
    result = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "machine": machine,
              "rounds": arguments.rounds, "seconds": arguments.seconds, "chain_every": arguments.chain_every,
              "data": "mnist" if comparison.data else "random", "cases": []}
    say(report.machine_text(machine))
    begin = time.monotonic()
    for case in arguments.cases:
        for threads in arguments.threads:
            row = comparison.run_case(case, threads)
            result["cases"].append(row)
            for name, entry in row["participants"].items():
                machine["versions"][name] = entry["version"]
            save(arguments.output, result)  # after each case: an interrupted run keeps what it has
    names = [name for name in (OURS, *PEERS) if any(name in row["participants"] for row in result["cases"])]
    say(f"{(time.monotonic() - begin) / 60:.0f} minutes; written to {os.path.relpath(arguments.output)}\n")
    report.print_table(result["cases"], names, TARGETS)
    print(report.markdown(result["cases"], names, machine))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        Worker.close_all()

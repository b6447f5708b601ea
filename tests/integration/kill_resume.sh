#!/bin/sh
# Twenty times SIGKILL at a random moment, each time --resume: the chain and the weights are those of a run that was
# never killed. Every other kill waits for a checkpoint that is just being written. The moments are seeded (they still
# depend on the machine's speed).
. "$(dirname "$0")/lib.sh"
write_rings
sed -e 's/epochs: 20/epochs: 100000/' -e 's/batch: 10/batch: 20/' rings.yaml >long.yaml
cat >killed.yaml <<'YAML'
training: {checkpoint_every: 25}
YAML
kills=${KILLS-20}

python3 - "$CUTTLEFISH" "$kills" <<'PYTHON'
import glob, json, os, random, signal, subprocess, sys, time
command, kills = sys.argv[1], int(sys.argv[2])
random.seed(5)
base = [command, "train", "long.yaml", "-f", "killed.yaml", "--quiet", "--json"]

def steps():
    found = glob.glob("killed/checkpoints/step-*[0-9]")
    return max([int(path.rsplit("-", 1)[1]) for path in found], default=0)

landed = torn = 0
progress = []
for attempt in range(10 * kills):
    if landed == kills:
        break
    process = subprocess.Popen(base + ["--run", "killed", "--resume"], stdout=subprocess.DEVNULL,
                               stderr=open("err", "w"))
    time.sleep(random.uniform(0.0, 0.8))
    until = time.monotonic() + 2.0
    while landed % 2 == 1 and time.monotonic() < until and not glob.glob("killed/checkpoints/*.tmp"):
        pass
    torn += len(glob.glob("killed/checkpoints/*.tmp"))
    if process.poll() is not None:
        sys.exit("train ended by itself: code %d: %s" % (process.returncode, open("err").read()))
    process.kill()
    process.wait()
    landed += 1
    progress.append(steps())
print("newest checkpoint after each kill:", *progress)
print("killed while a checkpoint was being written:", torn)
if progress[-1] == 0 or progress != sorted(progress):
    sys.exit("a checkpoint was lost, or none was written")
target = str(progress[-1] + 113)

def result(arguments):
    done = subprocess.run(base + arguments + ["--steps", target], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit("code %d: %s" % (done.returncode, done.stderr.decode()))
    return json.loads(done.stdout.decode().splitlines()[-1])

killed, whole = result(["--run", "killed", "--resume"]), result(["--run", "whole"])
for key in ("steps", "samples", "chain", "weights", "loss", "accuracy"):
    print(key, killed[key], whole[key])
    if killed[key] != whole[key]:
        sys.exit("%s differs after %d kills" % (key, landed))
left = [path for path in glob.glob("killed/checkpoints/*") if path.endswith(".tmp")]
if left:
    sys.exit("left behind: %s" % left)
PYTHON
code=$?
[ "$code" = 0 ] || failures=$((failures + 1))
checks=$kills
finish

"""Worker processes: started, asked one at a time, and kept still while others are measured."""

import ctypes
import json
import os
import select
import signal
import subprocess
import tempfile
import time

READY_SECONDS_MAX = 600   # imports and compilation, on a busy machine
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # either would tie a peer to another CPU's kernels


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class WorkerError(Exception):
    pass


def busy_seconds():
    """CPU seconds that all processes of this machine have used, time stolen by the hypervisor included."""
    with open("/proc/stat") as file:
        ticks = [int(word) for word in file.readline().split()[1:]]
    return (sum(ticks[:8]) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def own_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Worker:
    """One worker in a process group of its own. Between questions the whole group is stopped (SIGSTOP), so that no
    spinning thread pool of one peer slows the next. Whatever ends this program, no stopped process is left behind."""

    live = set()

    def __init__(self, name, command, threads, environment=None):
        self.name = name
        self.log = tempfile.TemporaryFile()
        self.pending = b""
        variables = {key: value for key, value in os.environ.items() if key not in UNSET}
        variables.update(environment or {})
        cores = sorted(os.sched_getaffinity(0))[-threads:]

        def prepare():
            os.sched_setaffinity(0, cores)
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                                        env=variables, start_new_session=True, preexec_fn=prepare)
        Worker.live.add(self)
        try:
            self.facts = self.answer(READY_SECONDS_MAX)
        except WorkerError:
            self.close()
            raise
        os.killpg(self.process.pid, signal.SIGSTOP)

    def answer(self, seconds_max):
        """The next line that is a JSON object."""
        deadline = time.monotonic() + seconds_max
        while True:
            while b"\n" in self.pending:
                line, self.pending = self.pending.split(b"\n", 1)
                if line.startswith(b"{"):
                    return json.loads(line)
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise WorkerError(f"{self.name}: no answer within {seconds_max:.0f} s")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise WorkerError(f"{self.name}: ended: {self.log_tail()}")
            self.pending += data

    def log_tail(self):
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "(said nothing)"

    def go(self, seconds):
        """Steps a second over about `seconds`, and the share of the machine that other processes took meanwhile."""
        os.killpg(self.process.pid, signal.SIGCONT)
        begin, busy, own = time.monotonic(), busy_seconds(), own_seconds(self.process.pid)
        try:
            self.process.stdin.write(f"go {seconds}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(f"{self.name}: ended: {self.log_tail()}") from None
        result = self.answer(60 + 20 * seconds)
        own, busy = own_seconds(self.process.pid) - own, busy_seconds() - busy
        others = max(0.0, busy - own) / (time.monotonic() - begin) / os.cpu_count()
        os.killpg(self.process.pid, signal.SIGSTOP)
        loss = result.get("loss", 0.0)
        if loss != loss:
            raise WorkerError(f"{self.name}: the loss is not a number")
        return result["steps"] / result["seconds"], others

    @classmethod
    def close_all(cls):
        for worker in list(cls.live):
            worker.close()

    def close(self):
        """Ends the group that this worker started; nothing of it is worth saving. Closing twice is fine."""
        if self not in Worker.live:
            return
        Worker.live.remove(self)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()

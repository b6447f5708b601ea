"""PyTorch DistributedDataParallel over gloo: 784-512-512-10, two processes of one thread, a batch of 128 between them.

    ddp_peer.py SECONDS      prints one JSON line: {"steps", "seconds", "samples_per_second"}
"""

import json
import os
import sys
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

BATCH, PROCESSES, WARM_UP = 128, 2, 20


def work(rank, seconds, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=PROCESSES)
    torch.manual_seed(0)
    model = DistributedDataParallel(nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    rows = BATCH // PROCESSES
    x, y = torch.rand(60000, 784), torch.randint(0, 10, (60000,))
    steps, begin = 0, 0.0
    go_on = torch.ones(1)
    while go_on.item() > 0:
        if steps == WARM_UP:
            begin = time.monotonic()
        indices = torch.randint(0, 60000, (rows,))
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[indices]), y[indices]).backward()
        optimizer.step()
        steps += 1
        if steps > WARM_UP and steps % 20 == 0:  # both must agree on the end
            go_on[0] = float(time.monotonic() - begin < seconds)
            dist.broadcast(go_on, 0)
    if rank == 0:
        passed = time.monotonic() - begin
        print(json.dumps({"steps": steps - WARM_UP, "seconds": passed,
                          "samples_per_second": (steps - WARM_UP) * BATCH / passed}))
    dist.destroy_process_group()


if __name__ == "__main__":
    mp.spawn(work, args=(float(sys.argv[1]), 29500 + os.getpid() % 1000), nprocs=PROCESSES)

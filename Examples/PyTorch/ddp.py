"""Data-parallel training with DistributedDataParallel: one line differs from gloo.

torchrun --standalone --nproc-per-node 2 ddp.py
"""

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("tutti")  # "gloo" before
rank, ranks = dist.get_rank(), dist.get_world_size()
torch.manual_seed(1)
model = DistributedDataParallel(torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
examples = torch.randn(512, 64)
targets = examples.sum(dim=1, keepdim=True) / 8
mine = slice(rank * 512 // ranks, (rank + 1) * 512 // ranks)
losses = []
for _ in range(30):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(examples[mine]), targets[mine])
    loss.backward()
    optimizer.step()
    mean = loss.detach().clone()
    dist.all_reduce(mean, dist.ReduceOp.AVG)
    losses.append(mean.item())
assert losses[-1] < losses[0] / 2, losses
if rank == 0:
    print(f"DDP on {ranks} ranks: loss {losses[0]:.4f} -> {losses[-1]:.4f}")
dist.destroy_process_group()

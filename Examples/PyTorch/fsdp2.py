"""Training with parameters and optimizer state divided among the ranks (FSDP2): one line differs from gloo.

torchrun --standalone --nproc-per-node 2 fsdp2.py
"""

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

dist.init_process_group("tutti")  # "gloo" before
rank, ranks = dist.get_rank(), dist.get_world_size()
torch.manual_seed(1)
mesh = init_device_mesh("cpu", (ranks,))
model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1))
policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
for layer in model:
    fully_shard(layer, mesh=mesh, mp_policy=policy)
fully_shard(model, mesh=mesh, mp_policy=policy)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
torch.manual_seed(100 + rank)
examples = torch.randn(128, 64)
targets = examples.sum(dim=1, keepdim=True) / 8
losses = []
for _ in range(20):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(examples).float(), targets)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
    optimizer.step()
    losses.append(loss.item())
assert losses[-1] < losses[0] / 2, losses
if rank == 0:
    print(f"FSDP2 on {ranks} ranks: loss {losses[0]:.4f} -> {losses[-1]:.4f}")
dist.destroy_process_group()

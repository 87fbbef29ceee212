"""A step of inference with tensor parallelism: each rank has a slice of the weights, and an all-reduce of bfloat16 adds up.

torchrun --standalone --nproc-per-node 2 tensor_parallel.py
"""

import time

import torch
import torch.distributed as dist

HIDDEN, INNER, LAYERS, TOKENS = 1024, 2048, 4, 8  # an all-reduce of 16 KiB for each layer

dist.init_process_group("tutti")  # "gloo" before
rank, ranks = dist.get_rank(), dist.get_world_size()
torch.manual_seed(1)
part = slice(rank * INNER // ranks, (rank + 1) * INNER // ranks)
layers = []
for _ in range(LAYERS):
    up, down = torch.randn(INNER, HIDDEN) / HIDDEN**0.5, torch.randn(HIDDEN, INNER) / INNER**0.5
    layers.append((up[part].bfloat16().contiguous(), down[:, part].bfloat16().contiguous()))


def step(hidden):
    """Returns the hidden state after all layers: columns first, then rows, whose partial sums the ranks add."""
    for up, down in layers:
        partial = torch.relu(hidden @ up.T) @ down.T
        dist.all_reduce(partial)
        hidden = hidden + partial
    return hidden


with torch.inference_mode():
    hidden = torch.randn(TOKENS, HIDDEN).bfloat16()
    result = step(hidden)
    began = time.perf_counter()
    for _ in range(10):
        result = step(hidden)
    milliseconds = (time.perf_counter() - began) * 100
# Every rank has the same bits: the next token is the same everywhere without another message.
everywhere = [torch.empty_like(result) for _ in range(ranks)]
dist.all_gather(everywhere, result)
assert all(torch.equal(other, result) for other in everywhere)
if rank == 0:
    print(f"tensor parallel on {ranks} ranks: {milliseconds:.2f} ms a step of {LAYERS} layers")
dist.destroy_process_group()

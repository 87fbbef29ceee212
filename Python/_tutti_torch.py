"""What PyTorch calls when it is imported, by the entry point `torch.backends`: it makes the backend `tutti` known.

A module of its own, since an error here would stop `import torch`: nothing of Tutti is loaded until a group is made.
"""


def register():
    """Makes `torch.distributed.init_process_group("tutti")` known. Never raises."""
    try:
        import torch.distributed as dist

        if dist.is_available() and not hasattr(dist.Backend, "TUTTI"):
            dist.Backend.register_backend("tutti", _create, devices=["cpu"])
    except Exception as error:
        import warnings

        warnings.warn(f"the backend 'tutti' of torch.distributed cannot be registered: {error}", stacklevel=2)


def _create(store, rank, size, timeout):
    from tutti.torch import create

    return create(store, rank, size, timeout)

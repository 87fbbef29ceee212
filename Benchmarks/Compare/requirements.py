"""What is required: how many times faster than a peer, at least, and how many times as long as a baseline, at most."""

KIBIBYTE, MEBIBYTE = 1 << 10, 1 << 20

# Faster at all.
AHEAD = 1.0
# Not a contender: at each size the fastest of these, the newest versions there are.
FASTEST_MPI = "mpi"
MPIS = ("openmpi5", "mpich5", "intelmpi")
# What this library is held against where there is no peer: bare C, its own time among 4 ranks, the bound of memory traffic.
FLOOR, FOUR_RANKS, BOUND = "floor", "tutti-4", "bound"

# So near bare C, a required ratio to a peer does not count: whoever is that fast is in the way of nobody.
NEAR_FLOOR = 1.25

TCP_TWO_RANKS = {8: 1.2, 4 * KIBIBYTE: 1.8, 32 * KIBIBYTE: 1.8, 256 * KIBIBYTE: 1.5, 2 * MEBIBYTE: 1.1, 16 * MEBIBYTE: 1.3}
TCP_AHEAD_SIZES = (8, 32 * KIBIBYTE, 2 * MEBIBYTE)
# All-reduce of 2 ranks over shared memory: times faster than the fastest MPI, and at most times the floor.
SHM_TWO_RANKS = {
    8: (1.1, 1.7), 512: (1.5, 1.5), 4 * KIBIBYTE: (2, 1.5), 32 * KIBIBYTE: (1.5, 1.5), 256 * KIBIBYTE: (1.8, 1.5),
    2 * MEBIBYTE: (1.5, 1.5), 16 * MEBIBYTE: (2.2, 1.25), 128 * MEBIBYTE: (2.2, 1.25)}
SHM_FOUR_RANKS = {8: 1.2, 4 * KIBIBYTE: 2.2, 32 * KIBIBYTE: 2, 256 * KIBIBYTE: 1.7, 2 * MEBIBYTE: 1.8, 16 * MEBIBYTE: 2.2}
SHM_AHEAD_SIZES = (8, 32 * KIBIBYTE, 2 * MEBIBYTE, 16 * MEBIBYTE)
# Twice as many ranks on the same cores.
EIGHT_OVER_FOUR_RANKS = 3
# Registered memory gets 80% of the bound from here on: 1.25 times its time.
REGISTERED_LEAST_BYTES, BOUND_SHARE = 64 * MEBIBYTE, 0.8

OTHERS = ("all-gather", "reduce-scatter", "broadcast", "all-to-all")


def required_ratio(configuration, peer, asked):
    """How many times faster than `peer` the library must be, or None where nothing is required."""
    if configuration.registered:
        return None
    by_transport = {"tcp": over_tcp, "shm": over_shared_memory}
    return by_transport[configuration.transport](configuration.collective, configuration.ranks, peer, asked)


def over_tcp(collective, ranks, peer, asked):
    if collective == "all-reduce":
        if ranks == 2 and peer == "openmpi":
            return TCP_TWO_RANKS.get(asked)
        if ranks == 2 and peer == "gloo":
            return 5.0 if asked <= 32 * KIBIBYTE else 2.0
        if ranks == 2 and peer in ("openmpi5", "mpich5"):
            return 1.2 if asked == 8 else AHEAD
        return AHEAD if ranks == 4 and peer == "openmpi" else None
    if collective in OTHERS:
        return AHEAD if ranks == 4 and peer == "openmpi" and asked in TCP_AHEAD_SIZES else None
    return None


def over_shared_memory(collective, ranks, peer, asked):
    if collective == "all-reduce":
        if ranks == 2 and peer == FASTEST_MPI and asked in SHM_TWO_RANKS:
            return SHM_TWO_RANKS[asked][0]
        return SHM_FOUR_RANKS.get(asked) if ranks == 4 and peer == FASTEST_MPI else None
    if collective in OTHERS and ranks in (2, 4) and peer == FASTEST_MPI and asked in SHM_AHEAD_SIZES:
        return AHEAD
    return None


def baselines(configuration):
    """What the configuration is held against besides peers; each takes turns with them."""
    if configuration.transport != "shm" or configuration.collective != "all-reduce":
        return []
    if configuration.registered:
        return [BOUND] if configuration.ranks == 2 else []
    return {2: [FLOOR], 8: [FOUR_RANKS]}.get(configuration.ranks, [])


def at_most(baseline, asked):
    """How many times as long as the baseline the library may take, or None where nothing is required."""
    if baseline == FLOOR:
        return SHM_TWO_RANKS[asked][1] if asked in SHM_TWO_RANKS else None
    if baseline == FOUR_RANKS:
        return EIGHT_OVER_FOUR_RANKS
    return 1 / BOUND_SHARE if asked >= REGISTERED_LEAST_BYTES else None

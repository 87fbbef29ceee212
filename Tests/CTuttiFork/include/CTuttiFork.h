// fork(2), which Swift hides, for tests that need a child sharing every descriptor of its parent.
#ifndef TUTTI_FORK_H
#define TUTTI_FORK_H

#include <sys/types.h>

/// Forks a child that sleeps for `seconds` and exits. Returns the child's pid.
pid_t tutti_fork_sleeper(unsigned seconds);
/// Runs `body(context)` in a forked child and returns the status (0 to 255) it exits with; -1 when the child did not end by
/// itself within `seconds` and was killed.
int tutti_fork_call(int (*body)(void *), void *context, unsigned seconds);

#endif

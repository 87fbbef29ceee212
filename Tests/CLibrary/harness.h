// Ranks as processes for the tests of the C library: each test runs in children of the test program, one for each rank.
#ifndef HARNESS_H
#define HARNESS_H

#include <stdio.h>
#include <stdlib.h>
#include <tutti.h>

/// What a rank of a test knows.
struct rank {
  int number;
  int count;
  /// What all ranks of this test are made with: the transport under test, a secret, limits of time.
  tutti_options options;
  /// Where rank 0 listens: "unix:@...", of this test alone.
  const char *address;
  /// A folder of this test's own.
  const char *folder;
};

/// Ends the process with the place and the last error, unless the condition holds.
#define CHECK(condition)                                                                                                 \
  do {                                                                                                                   \
    if (!(condition)) fail_check(__FILE__, __LINE__, #condition);                                                        \
  } while (0)

/// Checks that a call succeeds.
#define OK(call) CHECK((call) == TUTTI_OK)

/// Checks that a call is refused with a code, and that the error's text has some words in it.
#define REFUSED(call, code, words) check_refused((call), (code), (words), __FILE__, __LINE__, #call)

void fail_check(const char *file, int line, const char *condition);
void check_refused(tutti_code code, tutti_code expected, const char *words, const char *file, int line, const char *call);

/// Joins the ranks of a test.
tutti_comm *join(const struct rank *rank);

/// Runs `body` as each of `count` ranks, each in a process of its own, and ends the program if one of them fails.
///
/// - expected: the rank that is to be killed by a signal, or -1.
void run_ranks(
    const char *name, int count, tutti_transport transport, void (*body)(const struct rank *rank), int expected);

// The tests, by file.
void test_bad_input(void);
void test_collectives(void);
void test_started(void);
void test_groups(void);
void test_composed(void);
void test_failures(void);

#endif

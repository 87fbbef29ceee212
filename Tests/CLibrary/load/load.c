// Loads a library and prints how long that took, in microseconds; fails when loading started a thread or left a descriptor
// open.
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <time.h>

static int entries(const char *path) {
  DIR *folder = opendir(path);
  int count = 0;
  if (!folder) return -1;
  while (readdir(folder)) count++;
  closedir(folder);
  return count;
}

int main(int count, char **arguments) {
  struct timespec begin, end;
  if (count != 2) return 2;
  int descriptors = entries("/proc/self/fd");
  clock_gettime(CLOCK_MONOTONIC, &begin);
  void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
  clock_gettime(CLOCK_MONOTONIC, &end);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  // Each folder lists itself, the one above, and one entry for each thread.
  if (entries("/proc/self/task") != 3) {
    fprintf(stderr, "loading %s starts a thread\n", arguments[1]);
    return 1;
  }
  if (entries("/proc/self/fd") != descriptors) {
    fprintf(stderr, "loading %s leaves a descriptor open\n", arguments[1]);
    return 1;
  }
  printf("%ld\n", (end.tv_sec - begin.tv_sec) * 1000000 + (end.tv_nsec - begin.tv_nsec) / 1000);
  return 0;
}

/*
 * Takes bytes on standard input, and says how many seconds lay between the first and the last of so many.
 *
 *   output_sink BYTES
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  static char buffer[1 << 16];
  long wanted = atol(argv[1]);
  long count = 0;
  double began = 0;
  while (count < wanted) {
    ssize_t got = read(0, buffer, sizeof(buffer));
    if (got <= 0) break;
    if (count == 0) began = now();
    count += got;
  }
  printf("%ld bytes, %f s\n", count, now() - began);
  /* The monitor goes on until its guest ends. */
  while (read(0, buffer, sizeof(buffer)) > 0) {
  }
  return count == wanted ? 0 : 1;
}

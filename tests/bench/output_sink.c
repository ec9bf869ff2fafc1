/*
 * Takes bytes, on standard input or of a program that it starts and in the end kills, and prints how many seconds lay between
 * the arrivals of those that count, by number: from the first of them to the second, and so on.
 *
 *   output_sink COUNT... [-- COMMAND ARGUMENT...]
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

/* Starts a program whose output becomes our input. */
static pid_t start(char **command) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return -1;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t child = -1;
  if (posix_spawnp(&child, command[0], &actions, NULL, command, environ) != 0) return -1;
  dup2(ends[0], 0);
  close(ends[1]);
  return child;
}

int main(int count, char **arguments) {
  static char buffer[1 << 16];
  int part = 1, parts = 1;
  while (parts < count && strcmp(arguments[parts], "--") != 0) parts++;
  pid_t child = parts + 1 < count ? start(arguments + parts + 1) : 0;
  if (child < 0) return 2;
  long bytes = 0;
  double last = 0;
  while (part < parts) {
    ssize_t got = read(0, buffer, sizeof(buffer));
    if (got <= 0) break;
    bytes += got;
    double time = now();
    for (; part < parts && bytes >= atol(arguments[part]); part++, last = time)
      if (part > 1) printf("%f ", time - last);
  }
  printf("\n");
  fflush(stdout);
  /* A monitor of somebody else's goes on until its guest ends. */
  if (child == 0) {
    while (read(0, buffer, sizeof(buffer)) > 0) {
    }
  } else {
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
  }
  return part == parts ? 0 : 1;
}

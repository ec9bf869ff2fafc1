/*
 * Starts a program and measures from outside when its guest has run its first instruction: a write that KVM turns into a
 * signal of an eventfd made here, or that the program itself passes on to a pipe made here. Then it prints "first NS CPU-NS
 * EPOCH-NS" (since the start; the program's CPU time; the start by the wall clock) and kills the program, after LINGER ms
 * where the environment says so. Where that ends by itself before, it prints "end NS CPU-NS EPOCH-NS".
 *
 *   start_launch COMMAND ARGUMENT...        (the eventfd's number is in EVENT of the environment, the pipe is descriptor 9)
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PIPE = 9 };

extern char **environ;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static long long now(clockid_t clock) {
  struct timespec time;
  if (clock_gettime(clock, &time) < 0) return 0;
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int count, char **arguments) {
  if (count < 2) return 2;
  int event = eventfd(0, 0);
  if (event < 0) die("eventfd");
  char number[16];
  snprintf(number, sizeof(number), "%d", event);
  setenv("EVENT", number, 1);
  int ends[2];
  if (pipe(ends) < 0 || dup2(ends[1], PIPE) < 0) die("pipe");
  close(ends[1]);

  long long epoch = now(CLOCK_REALTIME), began = now(CLOCK_MONOTONIC);
  pid_t child;
  if (posix_spawnp(&child, arguments[1], NULL, NULL, arguments + 1, environ) != 0) die(arguments[1]);
  int exited = syscall(SYS_pidfd_open, child, 0);
  if (exited < 0) die("pidfd_open");
  struct pollfd ready[] = {{.fd = event, .events = POLLIN},
                           {.fd = ends[0], .events = POLLIN},
                           {.fd = exited, .events = POLLIN}};
  if (poll(ready, 3, 20000) <= 0) {
    kill(child, SIGKILL);
    die("nothing happened");
  }
  long long took = now(CLOCK_MONOTONIC) - began, cpu = 0;
  int first = ((ready[0].revents | ready[1].revents) & POLLIN) != 0;
  clockid_t clock;
  if (first && clock_getcpuclockid(child, &clock) == 0) cpu = now(clock);
  const char *linger = getenv("LINGER");
  if (first && linger != NULL) usleep(atoi(linger) * 1000);
  if (first) kill(child, SIGKILL);
  int status;
  struct rusage usage;
  wait4(child, &status, 0, &usage);
  if (!first) {
    cpu = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000LL +
          (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000LL;
    if (status != 0) return 1;
  }
  printf("%s %lld %lld %lld\n", first ? "first" : "end", took, cpu, epoch);
  return 0;
}

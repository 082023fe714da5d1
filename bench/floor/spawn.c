/* Floor of commands: what the kernel and bwrap alone take, started by posix_spawn.
 * spawn FD=FILE… -- LINE…: each FILE is opened as FD for LINE, to which a payload is added. Reads orders from stdin:
 *   cold N           one after the other, start to end, ms each
 *   warm N           one stands ready and waits for its command; from the command to its end, ms each
 *   rate MS WIDTH    so many at once for so long; their number a second
 * Answers with one number a line, then a dot. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static char **files, **line;
static int file_count, line_length;
static const char *const cold_payload[] = {"bash", "-c", "true", NULL};
static const char *const warm_payload[] = {"sh", "-c", "echo; read -r c; exec bash -c \"$c\"", NULL};

static double now_ms(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1e3 + at.tv_nsec / 1e6;
}

static pid_t start(const char *const *payload, int in, int out) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (in >= 0) posix_spawn_file_actions_adddup2(&actions, in, 0);
  else posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (out >= 0) posix_spawn_file_actions_adddup2(&actions, out, 1);
  else posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  for (int i = 0; i < file_count; i++) {
    char *path = strchr(files[i], '=') + 1;
    posix_spawn_file_actions_addopen(&actions, atoi(files[i]), path, O_RDWR, 0);
  }
  const char *argv[line_length + 4];
  int count = 0;
  for (; count < line_length; count++) argv[count] = line[count];
  for (int i = 0; payload[i] != NULL; i++) argv[count++] = payload[i];
  argv[count] = NULL;
  pid_t pid;
  int failed = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed) exit(3);
  return pid;
}

static void ended(pid_t pid) {
  int status;
  if (waitpid(pid, &status, 0) < 0 || status != 0) exit(4);
}

static void cold(int times) {
  while (times-- > 0) {
    double begin = now_ms();
    ended(start(cold_payload, -1, -1));
    printf("%.4f\n", now_ms() - begin);
  }
}

static void warm(int times) {
  while (times-- > 0) {
    int in[2], out[2];
    char ready;
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) exit(5);
    pid_t pid = start(warm_payload, in[0], out[1]);
    if (read(out[0], &ready, 1) != 1) exit(6);
    /* It says so before it reads: a moment until it does. */
    usleep(2000);
    double begin = now_ms();
    if (write(in[1], "true\n", 5) != 5) exit(7);
    ended(pid);
    printf("%.4f\n", now_ms() - begin);
    close(in[0]), close(in[1]), close(out[0]), close(out[1]);
  }
}

static void rate(int ms, int width) {
  double begin = now_ms();
  int done = 0;
  for (int i = 0; i < width; i++) start(cold_payload, -1, -1);
  for (; now_ms() - begin < ms; done++) {
    wait(NULL);
    start(cold_payload, -1, -1);
  }
  double took = now_ms() - begin;
  while (wait(NULL) > 0) continue;
  printf("%.2f\n", done / took * 1e3);
}

int main(int argc, char **argv) {
  files = argv + 1;
  while (file_count + 1 < argc && strcmp(files[file_count], "--")) file_count++;
  line = files + file_count + 1;
  line_length = argc - file_count - 2;
  char order[128];
  while (fgets(order, sizeof order, stdin)) {
    int a = 0, b = 0;
    if (sscanf(order, "cold %d", &a) == 1) cold(a);
    else if (sscanf(order, "warm %d", &a) == 1) warm(a);
    else if (sscanf(order, "rate %d %d", &a, &b) == 2) rate(a, b);
    puts(".");
    fflush(stdout);
  }
  return 0;
}

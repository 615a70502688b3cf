/* Loaded before libc (LD_PRELOAD): while the file that BKN_STALL names is there, each sync takes BKN_STALL_MS longer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void stall(void) {
  const char *file = getenv("BKN_STALL");
  const char *ms = getenv("BKN_STALL_MS");
  if (file != NULL && ms != NULL && access(file, F_OK) == 0) usleep((useconds_t)atoi(ms) * 1000);
}

int fsync(int fd) {
  stall();
  return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

int fdatasync(int fd) {
  stall();
  return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

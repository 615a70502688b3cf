/* Holds the lock that writers of an SQLite log take (a byte of its -shm file) from "held" on, until its input ends. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* WAL_WRITE_LOCK in SQLite's wal.c, behind UNIX_SHM_BASE of os_unix.c. */
#define PLACE 120

int main(int count, char **words) {
  int fd = count == 2 ? open(words[1], O_RDWR) : -1;
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = PLACE, .l_len = 1};
  if (fd < 0 || fcntl(fd, F_SETLKW, &lock) != 0) {
    perror("the lock cannot be had");
    return 1;
  }
  puts("held");
  fflush(stdout);
  for (char byte; read(0, &byte, 1) > 0;) {
  }
  return 0;
}

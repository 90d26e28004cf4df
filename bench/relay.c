/*
 * The relay: the least that a program between a client and a far server can do,
 * to know what of the far server's speed the machine leaves to one. It copies
 * bytes from each side to the other, as many with a call as there are, and knows
 * nothing of the protocol. One thread for each connection.
 *
 * Usage: relay SOCKET FAR
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BUFFER_SIZE (1u << 20)

static struct sockaddr_un far;

static int set_path(struct sockaddr_un *address, const char *path) {
  if (strlen(path) >= sizeof address->sun_path) return -1;
  address->sun_family = AF_UNIX;
  strcpy(address->sun_path, path);
  return 0;
}

static int send_all(int socket, const char *at, size_t length) {
  while (length > 0) {
    ssize_t count = send(socket, at, length, MSG_NOSIGNAL);
    if (count <= 0) return -1;
    at += count;
    length -= count;
  }
  return 0;
}

/* Returns below 0 when a side has ended, and 0 when nothing came. */
static int pass(int from, int to, char *buffer) {
  ssize_t count = recv(from, buffer, BUFFER_SIZE, MSG_DONTWAIT);
  if (count < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
  if (count == 0) return -1;
  return send_all(to, buffer, count) == 0 ? 1 : -1;
}

static void *relay(void *argument) {
  int client = (int)(intptr_t)argument;
  int server = socket(AF_UNIX, SOCK_STREAM, 0);
  char *buffer = malloc(BUFFER_SIZE);
  if (server >= 0 && buffer != NULL &&
      connect(server, (struct sockaddr *)&far, sizeof far) == 0) {
    for (;;) {
      int there = pass(client, server, buffer);
      int back = there < 0 ? -1 : pass(server, client, buffer);
      if (back < 0) break;
      if (there > 0 || back > 0) continue;
      struct pollfd both[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
      poll(both, 2, -1);
    }
  }
  free(buffer);
  if (server >= 0) close(server);
  close(client);
  return NULL;
}

int main(int count, char **arguments) {
  struct sockaddr_un own = {0};
  if (count != 3 || set_path(&own, arguments[1]) != 0 ||
      set_path(&far, arguments[2]) != 0) {
    fprintf(stderr, "usage: relay SOCKET FAR\n");
    return 64;
  }
  signal(SIGPIPE, SIG_IGN);
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  if (listener < 0 ||
      bind(listener, (struct sockaddr *)&own, sizeof own) != 0 ||
      listen(listener, 64) != 0) {
    perror("relay");
    return 1;
  }
  for (;;) {
    int client = accept(listener, NULL, NULL);
    if (client < 0) continue;
    pthread_t thread;
    if (pthread_create(&thread, NULL, relay, (void *)(intptr_t)client) != 0) {
      close(client);
      continue;
    }
    pthread_detach(thread);
  }
}

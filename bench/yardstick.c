/*
 * The yardstick: the least that an NBD server for one file can do, to know
 * what the machine allows. One thread for each connection; it receives what
 * there is, does all complete requests with pread and pwrite, and sends all
 * replies with one call. Replies are structured where the client wants them,
 * as those of all the others are: they cost the client more to read, and it has
 * to be the same for all. No checks beyond what keeps it from crashing, no TLS.
 * Do not keep data on it.
 *
 * Usage: yardstick SOCKET FILE
 *
 * The protocol is doc/proto.md of NetworkBlockDevice/nbd.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define GREETING_MAGIC 0x4e42444d41474943ULL /* "NBDMAGIC" */
#define OPTION_MAGIC 0x49484156454f5054ULL   /* "IHAVEOPT" */
#define OPTION_REPLY_MAGIC 0x3e889045565a9ULL
#define REQUEST_MAGIC 0x25609513U
#define REPLY_MAGIC 0x67446698U
#define CHUNK_MAGIC 0x668e33efU

enum {
  OPT_EXPORT_NAME = 1,
  OPT_ABORT = 2,
  OPT_INFO = 6,
  OPT_GO = 7,
  OPT_STRUCTURED = 8
};
/* Of a chunk: the only flag, and the types that are used. */
enum { CHUNK_DONE = 1, CHUNK_DATA = 1, CHUNK_ERROR = 0x8001 };
enum { REP_ACK = 1, REP_INFO = 3 };
#define REP_ERR_UNSUP 0x80000001U
enum { CMD_READ, CMD_WRITE, CMD_DISC, CMD_FLUSH, CMD_TRIM, CMD_ZEROES = 6 };
/* HAS_FLAGS, SEND_FLUSH, SEND_FUA, SEND_TRIM, WRITE_ZEROES, MULTI_CONN */
#define EXPORT_FLAGS 0x016d
#define FLAG_FUA 1
#define FLAG_NO_HOLE 2

#define PAYLOAD_MAX (32u << 20)
#define REQUEST_SIZE 28
#define REPLY_SIZE 16
#define CHUNK_SIZE 20
/* The most that comes before data: a chunk's header and the offset. */
#define HEADER_MAX 28
/* What is asked of the socket at once beyond a request that is incomplete. */
#define RECEIVE_SIZE (256u << 10)
/* Replies are sent when there is no more request, or at this many bytes. */
#define SEND_SIZE (1u << 20)
#define BUFFER_SIZE (PAYLOAD_MAX + SEND_SIZE + 4096)
#define OPTION_MAX 65536

struct connection {
  int socket;
  int structured; /* READ is answered with a chunk. */
  char *in;      /* Received and not done: from done to got. */
  size_t done, got;
  char *out;     /* Replies not sent. */
  size_t filled;
};

static int file;
static uint64_t file_size;

static int receive_all(int socket, void *target, size_t length) {
  for (char *at = target; length > 0;) {
    ssize_t count = recv(socket, at, length, MSG_WAITALL);
    if (count <= 0) return -1;
    at += count;
    length -= count;
  }
  return 0;
}

static int send_all(int socket, const void *source, size_t length) {
  for (const char *at = source; length > 0;) {
    ssize_t count = send(socket, at, length, MSG_NOSIGNAL);
    if (count <= 0) return -1;
    at += count;
    length -= count;
  }
  return 0;
}

static void put16(char *at, uint16_t value) {
  value = htobe16(value);
  memcpy(at, &value, 2);
}

static void put32(char *at, uint32_t value) {
  value = htobe32(value);
  memcpy(at, &value, 4);
}

static void put64(char *at, uint64_t value) {
  value = htobe64(value);
  memcpy(at, &value, 8);
}

static uint16_t get16(const char *at) {
  uint16_t value;
  memcpy(&value, at, 2);
  return be16toh(value);
}

static uint32_t get32(const char *at) {
  uint32_t value;
  memcpy(&value, at, 4);
  return be32toh(value);
}

static uint64_t get64(const char *at) {
  uint64_t value;
  memcpy(&value, at, 8);
  return be64toh(value);
}

static int reply_to_option(int socket, uint32_t option, uint32_t type,
                           const void *data, uint32_t length) {
  char head[20];
  put64(head, OPTION_REPLY_MAGIC);
  put32(head + 8, option);
  put32(head + 12, type);
  put32(head + 16, length);
  if (send_all(socket, head, sizeof head) != 0) return -1;
  return length == 0 ? 0 : send_all(socket, data, length);
}

static int answer_export_name(int socket, int no_zeroes) {
  char answer[134] = {0};
  put64(answer, file_size);
  put16(answer + 8, EXPORT_FLAGS);
  return send_all(socket, answer, no_zeroes ? 10 : sizeof answer);
}

static int answer_info(int socket, uint32_t option) {
  char info[12] = {0}; /* The type of the information, EXPORT, is 0. */
  put64(info + 2, file_size);
  put16(info + 10, EXPORT_FLAGS);
  if (reply_to_option(socket, option, REP_INFO, info, sizeof info) != 0)
    return -1;
  return reply_to_option(socket, option, REP_ACK, NULL, 0);
}

/* Returns 0 when requests follow. */
static int shake_hands(struct connection *c) {
  int socket = c->socket;
  char greeting[18], flags[4];
  char data[OPTION_MAX], head[16];
  put64(greeting, GREETING_MAGIC);
  put64(greeting + 8, OPTION_MAGIC);
  put16(greeting + 16, 3); /* Fixed newstyle, no zeroes. */
  if (send_all(socket, greeting, sizeof greeting) != 0) return -1;
  if (receive_all(socket, flags, sizeof flags) != 0) return -1;
  for (;;) {
    if (receive_all(socket, head, sizeof head) != 0) return -1;
    uint32_t option = get32(head + 8), length = get32(head + 12);
    if (get64(head) != OPTION_MAGIC || length > sizeof data) return -1;
    if (receive_all(socket, data, length) != 0) return -1;
    switch (option) {
    case OPT_EXPORT_NAME:
      return answer_export_name(socket, get32(flags) & 2);
    case OPT_GO:
      return answer_info(socket, option);
    case OPT_STRUCTURED:
      c->structured = 1;
      if (reply_to_option(socket, option, REP_ACK, NULL, 0) != 0) return -1;
      break;
    case OPT_INFO:
      if (answer_info(socket, option) != 0) return -1;
      break;
    case OPT_ABORT:
      reply_to_option(socket, option, REP_ACK, NULL, 0);
      return -1;
    default:
      if (reply_to_option(socket, option, REP_ERR_UNSUP, NULL, 0) != 0)
        return -1;
    }
  }
}

static int flush_replies(struct connection *c) {
  size_t length = c->filled;
  c->filled = 0;
  return send_all(c->socket, c->out, length);
}

/* Returns an error number of NBD, which are those of Linux. */
static uint32_t read_file(char *target, uint32_t length, uint64_t offset) {
  while (length > 0) {
    ssize_t count = pread(file, target, length, offset);
    if (count <= 0) return EIO;
    target += count;
    offset += count;
    length -= count;
  }
  return 0;
}

static uint32_t write_file(const char *source, uint32_t length,
                           uint64_t offset) {
  while (length > 0) {
    ssize_t count = pwrite(file, source, length, offset);
    if (count <= 0) return EIO;
    source += count;
    offset += count;
    length -= count;
  }
  return 0;
}

static uint32_t allocate(int mode, uint64_t offset, uint32_t length) {
  return fallocate(file, mode, offset, length) == 0 ? 0 : EIO;
}

/* Does a request that changes something, or none. */
static uint32_t change(uint16_t command, uint16_t flags, uint64_t offset,
                       uint32_t length, const char *payload) {
  uint32_t error = 0;
  if (command != CMD_FLUSH &&
      (offset > file_size || length > file_size - offset))
    return command == CMD_TRIM ? EINVAL : ENOSPC;
  switch (command) {
  case CMD_WRITE:
    error = write_file(payload, length, offset);
    break;
  case CMD_FLUSH:
    return fdatasync(file) == 0 ? 0 : EIO;
  case CMD_ZEROES:
    error = allocate(FALLOC_FL_KEEP_SIZE | (flags & FLAG_NO_HOLE
                                                ? FALLOC_FL_ZERO_RANGE
                                                : FALLOC_FL_PUNCH_HOLE),
                     offset, length);
    break;
  case CMD_TRIM:
    error = allocate(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, offset,
                     length);
    break;
  default:
    return EINVAL;
  }
  if (error == 0 && (flags & FLAG_FUA)) error = fdatasync(file) == 0 ? 0 : EIO;
  return error;
}

static void put_chunk(char *at, uint16_t type, const char *cookie,
                      uint32_t length) {
  put32(at, CHUNK_MAGIC);
  put16(at + 4, CHUNK_DONE);
  put16(at + 6, type);
  memcpy(at + 8, cookie, 8);
  put32(at + 16, length);
}

static size_t put_reply(char *at, const char *cookie, uint32_t error) {
  put32(at, REPLY_MAGIC);
  put32(at + 4, error);
  memcpy(at + 8, cookie, 8);
  return REPLY_SIZE;
}

/* Returns how long the answer is. */
static size_t answer_read(struct connection *c, char *reply,
                          const char *request) {
  const char *cookie = request + 8;
  uint64_t offset = get64(request + 16);
  uint32_t length = get32(request + 24), error = EINVAL;
  size_t header = c->structured ? HEADER_MAX : REPLY_SIZE;
  if (offset <= file_size && length <= file_size - offset)
    error = read_file(reply + header, length, offset);
  if (!c->structured)
    return put_reply(reply, cookie, error) + (error == 0 ? length : 0);
  if (error == 0) {
    put_chunk(reply, CHUNK_DATA, cookie, 8 + length);
    put64(reply + CHUNK_SIZE, offset);
    return header + length;
  }
  put_chunk(reply, CHUNK_ERROR, cookie, 6);
  put32(reply + CHUNK_SIZE, error);
  put16(reply + CHUNK_SIZE + 4, 0); /* No text. */
  return CHUNK_SIZE + 6;
}

/* Does one complete request. Returns -1 when the connection is to end. */
static int do_request(struct connection *c, const char *request) {
  uint16_t flags = get16(request + 4), command = get16(request + 6);
  uint64_t offset = get64(request + 16);
  uint32_t length = get32(request + 24);
  if (command == CMD_DISC) return -1;
  size_t room = HEADER_MAX + (command == CMD_READ ? length : 0);
  if (c->filled > 0 && c->filled + room > SEND_SIZE && flush_replies(c) != 0)
    return -1;
  char *reply = c->out + c->filled;
  c->filled += command == CMD_READ
                   ? answer_read(c, reply, request)
                   : put_reply(reply, request + 8,
                               change(command, flags, offset, length,
                                      request + REQUEST_SIZE));
  return 0;
}

/* Does all that has come completely. Returns how much more the next request
   needs, or -1 when the connection is to end. */
static ssize_t do_requests(struct connection *c) {
  for (;;) {
    const char *request = c->in + c->done;
    size_t there = c->got - c->done;
    if (there < REQUEST_SIZE) return REQUEST_SIZE - there;
    uint32_t length = get32(request + 24);
    uint16_t command = get16(request + 6);
    size_t needed = REQUEST_SIZE;
    if (get32(request) != REQUEST_MAGIC) return -1;
    if (command == CMD_READ || command == CMD_WRITE) {
      if (length > PAYLOAD_MAX) return -1;
      if (command == CMD_WRITE) needed += length;
    }
    if (there < needed) return needed - there;
    if (do_request(c, request) != 0) return -1;
    c->done += needed;
  }
}

static void transmit(struct connection *c) {
  for (;;) {
    ssize_t missing = do_requests(c);
    if (flush_replies(c) != 0 || missing < 0) return;
    memmove(c->in, c->in + c->done, c->got - c->done);
    c->got -= c->done;
    c->done = 0;
    size_t wanted = (size_t)missing > RECEIVE_SIZE ? (size_t)missing
                                                   : RECEIVE_SIZE;
    ssize_t count = recv(c->socket, c->in + c->got, wanted, 0);
    if (count <= 0) return;
    c->got += count;
  }
}

static void *serve(void *argument) {
  struct connection c = {.socket = (int)(intptr_t)argument};
  c.in = malloc(BUFFER_SIZE);
  c.out = malloc(BUFFER_SIZE);
  if (c.in != NULL && c.out != NULL && shake_hands(&c) == 0)
    transmit(&c);
  free(c.in);
  free(c.out);
  close(c.socket);
  return NULL;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

int main(int argc, char **argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct stat stat;
  if (argc != 3 || strlen(argv[1]) >= sizeof address.sun_path) {
    fprintf(stderr, "usage: yardstick SOCKET FILE\n");
    return 2;
  }
  file = open(argv[2], O_RDWR);
  if (file < 0 || fstat(file, &stat) != 0) fail(argv[2]);
  file_size = stat.st_size;
  strcpy(address.sun_path, argv[1]);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
      listen(listener, 128) != 0)
    fail(argv[1]);
  for (;;) {
    pthread_t thread;
    int socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (socket < 0) fail("accept");
    if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)socket) != 0)
      fail("pthread_create");
    pthread_detach(thread);
  }
}

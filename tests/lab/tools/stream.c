/*
 * stream connect ADDRESS PORT send|receive|source|sink MIB
 * stream listen PORT send|receive|source|sink MIB
 *
 * Moves so many MiB over TCP. Each 64-bit word is computed from its position; the receiver checks
 * every one and then answers with a byte that the sender waits for. A source sends whatever there
 * is in its buffer and closes, a sink counts what comes until the end: the figures are the
 * network's. Exit status: 0 all of it arrived and is right, 1 not, 2 the tool could not run.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK_BYTES 65536u

/* splitmix64's finisher: cheap, and no two positions look alike. */
static uint64_t word_at(uint64_t i)
{
	i = (i + 1) * 0x9e3779b97f4a7c15u;
	i = (i ^ (i >> 30)) * 0xbf58476d1ce4e5b9u;
	return i ^ (i >> 27);
}

static void fill(uint64_t *words, uint64_t first)
{
	for (size_t i = 0; i < CHUNK_BYTES / 8; i++)
		words[i] = word_at(first + i);
}

static int send_all(int fd, uint64_t bytes)
{
	static uint64_t words[CHUNK_BYTES / 8];
	char answer = 0;

	for (uint64_t done = 0; done < bytes; done += CHUNK_BYTES) {
		size_t sent = 0;

		fill(words, done / 8);
		while (sent < CHUNK_BYTES) {
			ssize_t n = write(fd, (char *)words + sent, CHUNK_BYTES - sent);

			if (n <= 0) {
				fprintf(stderr, "stream: cannot send after %llu bytes\n",
				        (unsigned long long)(done + sent));
				return 1;
			}
			sent += (size_t)n;
		}
	}
	if (read(fd, &answer, 1) != 1 || answer != 'k') {
		fprintf(stderr, "stream: the receiver did not confirm\n");
		return 1;
	}
	return 0;
}

static int receive_all(int fd, uint64_t bytes)
{
	static uint64_t got[CHUNK_BYTES / 8];
	static uint64_t want[CHUNK_BYTES / 8];

	for (uint64_t done = 0; done < bytes; done += CHUNK_BYTES) {
		size_t have = 0;

		while (have < CHUNK_BYTES) {
			ssize_t n = read(fd, (char *)got + have, CHUNK_BYTES - have);

			if (n <= 0) {
				fprintf(stderr, "stream: the data ends after %llu bytes\n",
				        (unsigned long long)(done + have));
				return 1;
			}
			have += (size_t)n;
		}
		fill(want, done / 8);
		if (memcmp(got, want, CHUNK_BYTES) != 0) {
			fprintf(stderr, "stream: wrong data in the %u bytes at %llu\n", CHUNK_BYTES,
			        (unsigned long long)done);
			return 1;
		}
	}
	return write(fd, "k", 1) == 1 ? 0 : 1;
}

static int source(int fd, uint64_t bytes)
{
	static char data[CHUNK_BYTES];
	uint64_t done = 0;

	while (done < bytes) {
		uint64_t left = bytes - done;
		ssize_t n = write(fd, data, left < sizeof(data) ? (size_t)left : sizeof(data));

		if (n <= 0)
			return 1;
		done += (uint64_t)n;
	}
	/* All of it is there when the sink has closed too. */
	shutdown(fd, SHUT_WR);
	return read(fd, data, 1) == 0 ? 0 : 1;
}

static int sink(int fd, uint64_t bytes)
{
	static char data[CHUNK_BYTES];
	uint64_t done = 0;
	ssize_t n;

	while ((n = read(fd, data, sizeof(data))) > 0)
		done += (uint64_t)n;
	return n == 0 && done == bytes ? 0 : 1;
}

static int move(const char *how, int fd, uint64_t bytes)
{
	if (strcmp(how, "send") == 0)
		return send_all(fd, bytes);
	if (strcmp(how, "source") == 0)
		return source(fd, bytes);
	if (strcmp(how, "sink") == 0)
		return sink(fd, bytes);
	return receive_all(fd, bytes);
}

/* Returns a connected socket, or -1. ADDRESS "::" or "0.0.0.0": listen. */
static int open_socket(const char *address, const char *port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at = {.any.sa_family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET};
	int v6 = at.any.sa_family == AF_INET6;
	int fd = socket(at.any.sa_family, SOCK_STREAM, 0);
	socklen_t len = v6 ? sizeof(at.v6) : sizeof(at.v4);
	int on = 1;

	*(v6 ? &at.v6.sin6_port : &at.v4.sin_port) = htons((uint16_t)atoi(port));
	if (fd < 0 || inet_pton(at.any.sa_family, address,
	                        v6 ? (void *)&at.v6.sin6_addr : (void *)&at.v4.sin_addr) != 1)
		return -1;
	if (strcmp(address, "::") != 0 && strcmp(address, "0.0.0.0") != 0)
		return connect(fd, &at.any, len) == 0 ? fd : -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &at.any, len) != 0 || listen(fd, 1) != 0)
		return -1;
	return accept(fd, NULL, NULL);
}

int main(int argc, char **argv)
{
	const char *address;
	uint64_t bytes;
	int fd;
	int rc;

	if (argc == 6 && strcmp(argv[1], "connect") == 0)
		address = argv[2];
	else if (argc == 5 && strcmp(argv[1], "listen") == 0)
		address = "0.0.0.0";
	else if (argc == 5 && strcmp(argv[1], "listen6") == 0)
		address = "::";
	else {
		fprintf(stderr, "usage: stream connect ADDRESS|listen|listen6 PORT "
		                "send|receive|source|sink MIB\n");
		return 2;
	}
	argv += argc - 3; /* PORT, direction, MIB */
	bytes = strtoull(argv[2], NULL, 10) << 20;
	fd = open_socket(address, argv[0]);
	if (fd < 0) {
		perror("stream");
		return 2;
	}
	rc = move(argv[1], fd, bytes);
	if (rc == 0)
		printf("stream: %llu bytes right\n", (unsigned long long)bytes);
	return rc;
}

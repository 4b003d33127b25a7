/*
 * unixline SOCKET LINE: connects, says the line every half second until something comes back, and
 * prints that until a line's end. Gives up after 20 s.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	if (argc != 3 || strlen(argv[1]) >= sizeof(at.sun_path))
		return EXIT_FAILURE;
	strcpy(at.sun_path, argv[1]);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	FILE *f = fdopen(fd, "r");
	if (!f || connect(fd, (const struct sockaddr *)&at, sizeof(at)) != 0) {
		perror(argv[1]);
		return EXIT_FAILURE;
	}
	struct pollfd p = {.fd = fd, .events = POLLIN};
	unsigned tries = 0;
	do {
		if (tries++ == 40 || dprintf(fd, "%s\n", argv[2]) < 0)
			return EXIT_FAILURE;
	} while (poll(&p, 1, 500) == 0);
	char line[256];
	if (fgets(line, sizeof(line), f))
		(void)fputs(line, stdout);
	return EXIT_SUCCESS;
}

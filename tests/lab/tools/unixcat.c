/*
 * unixcat PATH: copies what comes from the Unix socket PATH to standard output, until it ends.
 * Exit status: 0, or 1 if it cannot connect.
 */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char text[4096];
	ssize_t n;

	if (argc != 2 || strlen(argv[1]) >= sizeof(sa.sun_path))
		return 1;
	strcpy(sa.sun_path, argv[1]);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
		return 1;
	while ((n = read(fd, text, sizeof(text))) > 0)
		if (write(1, text, (size_t)n) != n)
			return 1;
	return 0;
}

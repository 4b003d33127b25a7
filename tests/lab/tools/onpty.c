/*
 * onpty COMMAND...: runs a command on a terminal of its own, 80 columns by 24 rows, and copies
 * between that and its own standard input and output. SIGUSR1 makes the terminal 132 by 43,
 * SIGTERM goes on to the command.
 * Exit status: the command's, 128 and its signal, or 125 if the tool could not run.
 */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t resize_wanted;
static volatile sig_atomic_t term_wanted;

static void on_signal(int number)
{
	if (number == SIGUSR1)
		resize_wanted = 1;
	else
		term_wanted = 1;
}

/* Copies once what there is; 0 at the end. */
static int copy(int from, int to)
{
	char text[4096];
	ssize_t n = read(from, text, sizeof(text));
	ssize_t done = 0;

	if (n <= 0)
		return n < 0 && errno == EINTR;
	while (done < n) {
		ssize_t k = write(to, text + done, (size_t)(n - done));

		if (k < 0 && errno != EINTR)
			return 0;
		done += k > 0 ? k : 0;
	}
	return 1;
}

static void relay(int master, pid_t pid)
{
	static const struct winsize larger = {.ws_row = 43, .ws_col = 132};
	struct pollfd p[2] = {{.fd = 0, .events = POLLIN}, {.fd = master, .events = POLLIN}};

	for (;;) {
		if (resize_wanted) {
			resize_wanted = 0;
			ioctl(master, TIOCSWINSZ, &larger);
		}
		if (term_wanted) {
			term_wanted = 0;
			kill(pid, SIGTERM);
		}
		if (poll(p, 2, 100) < 0)
			continue;
		if (p[0].revents && !copy(0, master))
			p[0].fd = -1;
		if (p[1].revents && !copy(master, 1))
			return;
	}
}

int main(int argc, char **argv)
{
	static const struct winsize size = {.ws_row = 24, .ws_col = 80};
	struct sigaction action = {.sa_handler = on_signal};
	int master;
	int status;
	int saved_stderr = dup(2);
	pid_t pid;

	if (argc < 2)
		return 125;
	pid = forkpty(&master, NULL, NULL, &size);
	if (pid < 0)
		return 125;
	if (pid == 0) {
		dup2(saved_stderr, 2);
		close(saved_stderr);
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	relay(master, pid);
	if (waitpid(pid, &status, 0) != pid)
		return 125;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

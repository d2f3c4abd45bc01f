/* Pid 1 for commands that were not written to be one (--init): forwards signals, reaps what is orphaned to it, and ends
 * with the command's exit status. The kernel drops signals that pid 1 has no handler for, but not blocked ones: so
 * all are blocked, and taken one by one. */
#include "modes.h"

/* Those that a fault of our own raises stay deliverable. */
#define BIT(signal) (1ul << ((signal) - 1))
#define FAULTS (BIT(SIGFPE) | BIT(SIGILL) | BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGABRT) | BIT(SIGTRAP) | BIT(SIGSYS))

static u64 length(const char *text)
{
	u64 n = 0;

	while (text[n])
		n++;
	return n;
}

static void complain(const char *command, const char *why)
{
	struct iovec parts[] = { { "tsrun-init: \"", 13 },
				 { (char *)command, length(command) },
				 { "\": ", 3 },
				 { (char *)why, length(why) },
				 { "\n", 1 } };

	SYS(writev, 2, parts, 5);
}

static const char *path_of(char **envp)
{
	for (; *envp; envp++)
		if (length(*envp) > 5 && !memcmp(*envp, "PATH=", 5))
			return *envp + 5;
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* As execvp(3): a name without a slash is looked for along PATH, and EACCES is remembered. Returns an errno. */
static int search_and_exec(char **argv, char **envp)
{
	const char *path = path_of(envp);
	u64 size = length(argv[0]), n;
	int error = ENOENT, result;
	char file[4096];

	for (n = 0; argv[0][n]; n++)
		if (argv[0][n] == '/')
			return -(int)SYS(execve, argv[0], argv, envp);
	for (;;) {
		for (n = 0; path[n] && path[n] != ':'; n++)
			;
		if (n + size + 2 <= sizeof(file)) {
			memcpy(file, path, n);
			file[n] = '/';
			/* an empty entry is the working directory */
			memcpy(file + n + (n > 0), argv[0], size + 1);
			result = -(int)SYS(execve, file, argv, envp);
			if (result == EACCES)
				error = EACCES;
			else if (result != ENOENT && result != ENOTDIR)
				return result;
		}
		if (!path[n])
			return error;
		path += n + 1;
	}
}

/* In the child: a process group of its own that has the terminal, so that Ctrl-C reaches the command and not init. */
static __attribute__((noreturn)) void run_command(char **argv, char **envp)
{
	int group, error;

	SYS(setpgid, 0, 0);
	group = (int)SYS(getpid);
	SYS(ioctl, 0, TIOCSPGRP, &group); /* SIGTTOU is still blocked; where stdin is no terminal this fails */
	set_signal_mask(0);
	error = search_and_exec(argv, envp);
	complain(argv[0], error == ENOENT ? "not found" : error == EACCES ? "permission denied" : "cannot be executed");
	quit(error == ENOENT ? 127 : 126);
}

int run_init(char **argv, char **envp)
{
	u64 signals = ~FAULTS;
	int child, pid, signal;
	u32 status;

	if (argv[0] && !memcmp(argv[0], "--", 3))
		argv++;
	if (!argv[0]) {
		complain("", "no command");
		return 125;
	}
	set_signal_mask(signals);
	SYS(prctl, PR_SET_NAME, "tsrun-init");
	SYS(prctl, PR_SET_CHILD_SUBREAPER, 1); /* for --pid=host, where it is not pid 1 */
	child = (int)SYS(clone, SIGCHLD, NULL);
	if (child == 0)
		run_command(argv, envp);
	if (child < 0) {
		complain(argv[0], "cannot fork");
		return 125;
	}
	for (;;) {
		signal = (int)SYS(rt_sigtimedwait, &signals, NULL, NULL, sizeof(signals));
		if (signal > 0 && signal != SIGCHLD)
			SYS(kill, child, signal);
		while ((pid = (int)SYS(wait4, -1, &status, WNOHANG, NULL)) > 0)
			if (pid == child)
				return exit_status(status);
	}
}

/* Which pages of a range a command has touched: touched FROM TO COMMAND... prints for each its address and R or W. For scripts/profile.mjs: it says
 * the truth where the kernel maps one page at each fault (fault_around_bytes of debugfs), and knows a changed page by its being private. */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL
#define PRESENT (1UL << 63)
#define OF_FILE (1UL << 61) /* Documentation/admin-guide/mm/pagemap.rst */

static void print_pages(pid_t pid, unsigned long from, unsigned long to)
{
	static uint64_t entries[1 << 16];
	char path[64];
	ssize_t length;
	int fd, i;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY);
	while (from < to && (length = pread(fd, entries, sizeof(entries), from / PAGE * 8)) > 0) {
		for (i = 0; i < length / 8 && from < to; i++, from += PAGE)
			if (entries[i] & PRESENT)
				printf("%lx %c\n", from, entries[i] & OF_FILE ? 'R' : 'W');
	}
	close(fd);
}

int main(int argc, char **argv)
{
	unsigned long from, to;
	int status, null;
	pid_t pid;

	if (argc < 4)
		return 2;
	from = strtoul(argv[1], NULL, 0);
	to = strtoul(argv[2], NULL, 0);
	pid = fork();
	if (pid == 0) {
		null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execv(argv[3], argv + 3);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT);
	for (;;) {
		ptrace(PTRACE_CONT, pid, 0, WIFSTOPPED(status) && status >> 16 == 0 && WSTOPSIG(status) != SIGTRAP ? WSTOPSIG(status) : 0);
		if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
			break;
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8))
			print_pages(pid, from, to);
	}
	fprintf(stderr, "exit status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}

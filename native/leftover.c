/* What a run left in the container's cgroup: with the host's pid namespace processes outlive the first one, and a container
 * may have made cgroups of its own, with controllers that would keep the next first process out. cgroup.kill is not used:
 * Linux 6.18 kills at birth what is cloned into a cgroup where it was ever written. */
#include "supervisor.h"

#define DEPTH 16

struct directory_entry { /* man 2 getdents64 */
	u64 inode;
	s64 offset;
	u16 length;
	u8 type;
	char name[];
};

static void write_control(int directory, const char *file, const char *value, u64 size)
{
	int fd = (int)SYS(openat, directory, file, O_WRONLY | O_CLOEXEC);

	SYS(write, fd, value, size);
	close_fd(&fd);
}

static void kill_processes(int directory)
{
	int fd = (int)SYS(openat, directory, "cgroup.procs", O_RDONLY | O_CLOEXEC), pid = 0;
	char text[1024];
	long size;

	while (fd >= 0 && (size = SYS(read, fd, text, sizeof(text))) > 0)
		for (long i = 0; i < size; i++) {
			if (text[i] != '\n') {
				pid = pid * 10 + (text[i] - '0');
				continue;
			}
			if (pid > 0)
				SYS(kill, pid, SIGKILL);
			pid = 0;
		}
	close_fd(&fd);
}

static void walk(int directory, int depth)
{
	u64 entries[128];
	long size;

	kill_processes(directory);
	while (depth > 0 && (size = SYS(getdents64, directory, entries, sizeof(entries))) > 0)
		for (char *at = (char *)entries; at < (char *)entries + size;) {
			struct directory_entry *entry = (void *)at;
			int fd;

			at += entry->length;
			if (entry->type != 4 /* DT_DIR */ || entry->name[0] == '.')
				continue;
			fd = (int)SYS(openat, directory, entry->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (fd < 0)
				continue;
			walk(fd, depth - 1);
			close_fd(&fd);
			SYS(unlinkat, directory, entry->name, AT_REMOVEDIR);
		}
}

/* No internal processes where controllers are handed on to children (cgroup-v2.rst). */
static void take_controllers_back(void)
{
	int fd = (int)SYS(openat, FD_CGROUP, "cgroup.subtree_control", O_RDONLY | O_CLOEXEC);
	char text[256], word[64] = "-";
	long size = fd < 0 ? 0 : SYS(read, fd, text, sizeof(text)), length = 1;

	close_fd(&fd);
	for (long i = 0; i < size; i++) {
		if (text[i] != ' ' && text[i] != '\n') {
			if (length < (long)sizeof(word))
				word[length++] = text[i];
			continue;
		}
		if (length > 1)
			write_control(FD_CGROUP, "cgroup.subtree_control", word, (u64)length);
		length = 1;
	}
}

void cgroup_freeze(int frozen)
{
	write_control(FD_CGROUP, "cgroup.freeze", frozen ? "1" : "0", 1);
}

int cgroup_clear(void)
{
	int top = (int)SYS(openat, FD_CGROUP, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int populated;

	if (top < 0)
		return 1; /* /dev/null: there is no cgroup */
	/* Nothing can fork while it is frozen: the lists of processes are complete. */
	cgroup_freeze(1);
	walk(top, DEPTH);
	cgroup_freeze(0);
	close_fd(&top);
	populated = cgroup_number("cgroup.events", "populated ", 10) != 0;
	if (!populated)
		take_controllers_back();
	return !populated;
}

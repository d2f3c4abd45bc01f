/* Where the kernel enters: one program with four modes.
 *
 *   tsrun-init [--] COMMAND...   pid 1 of a container that asked for one (init.c)
 *   tsrun-monitor run            the program at fd 3 and nothing else; ends with its child's exit status
 *   tsrun-monitor leave          the same, but ends at once: the child becomes that of the next subreaper above (man 2 prctl)
 *   tsrun-monitor [ID]           the parent of a container (monitor.c) */
#include "modes.h"

#if defined(__x86_64__)
__asm__(".global _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call start\n");
#elif defined(__aarch64__)
__asm__(".global _start\n"
	"_start:\n"
	"	mov x29, #0\n"
	"	mov x30, #0\n"
	"	mov x0, sp\n"
	"	bl start\n");
#endif

/* Eight bytes at a time: what runs through here are lines of logs and output that waits for a slow reader. */
void *memcpy(void *to, const void *from, unsigned long size)
{
	u8 *t = to;
	const u8 *f = from;
	u64 word;

	for (; size >= 8; size -= 8, t += 8, f += 8) {
		__builtin_memcpy(&word, f, 8);
		__builtin_memcpy(t, &word, 8);
	}
	while (size--)
		*t++ = *f++;
	return to;
}

void *memset(void *to, int byte, unsigned long size)
{
	for (u8 *t = to; size--; t++)
		*t = (u8)byte;
	return to;
}

int memcmp(const void *left, const void *right, unsigned long size)
{
	const u8 *l = left, *r = right;

	for (; size--; l++, r++)
		if (*l != *r)
			return *l - *r;
	return 0;
}

static int equal(const char *left, const char *right)
{
	while (*left && *left == *right)
		left++, right++;
	return *left == *right;
}

static int run_only(int waits)
{
	struct program_header *program;
	u32 status;

	if (load_program(FD_PROGRAM, &program) < 0 || run_program(program) < 0)
		return 125;
	if (!waits || SYS(wait4, -1, &status, __WALL, NULL) < 0)
		return 0; /* a program without a child */
	return exit_status(status);
}

__attribute__((noreturn, used)) void start(long *stack)
{
	char **argv = (char **)(stack + 1), **envp = argv + stack[0] + 1;

	if (stack[0] > 0 && equal(argv[0], "tsrun-init"))
		quit(run_init(argv + 1, envp));
	if (stack[0] > 1 && equal(argv[1], "run"))
		quit(run_only(1));
	if (stack[0] > 1 && equal(argv[1], "leave"))
		quit(run_only(0));
	quit(run_monitor());
}

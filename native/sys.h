/* System calls without libc: SYS(name, arguments...) gives the kernel's own answer, a negative errno on failure.
 * The kernel's UAPI headers give numbers, constants and structures; what they leave to libc is here. */
#ifndef TSRUN_SYS_H
#define TSRUN_SYS_H
#include <asm/errno.h>
#include <asm/fcntl.h>
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include <asm/socket.h>
#include <asm/termios.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/signalfd.h>
#include <linux/stat.h>
#include <linux/time_types.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include "program.h"

#if defined(__x86_64__)
static inline long sys_call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}
#elif defined(__aarch64__)
static inline long sys_call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory", "cc");
	return x0;
}
#else
#error "tsrun knows x86-64 and arm64"
#endif

#define SYS(name, ...) SYS_PADDED(__NR_##name, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define SYS_PADDED(nr, a, b, c, d, e, f, ...) \
	sys_call(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

#define NULL ((void *)0)
#define SEEK_END 2
#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define SOCK_CLOEXEC O_CLOEXEC
#define MSG_DONTWAIT 0x40
#define MSG_NOSIGNAL 0x4000
#define MSG_CMSG_CLOEXEC 0x40000000
#define SCM_RIGHTS 1

struct msghdr { /* include/linux/socket.h: struct user_msghdr */
	void *name;
	u32 name_length;
	struct iovec *iov;
	u64 iov_length;
	void *control;
	u64 control_length;
	u32 flags;
};

struct cmsghdr {
	u64 length;
	s32 level, type;
};

struct ucred {
	u32 pid, uid, gid;
};

static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		SYS(close, *fd);
	*fd = -1;
}

static inline void set_signal_mask(u64 mask)
{
	SYS(rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
}

/* What our maker ignores, whoever started it with nohup or in the background. */
static inline void ignore_no_signal(void)
{
	static const u64 by_default[4] = { 0 }; /* struct sigaction of the kernel */
	int signal;

	for (signal = 1; signal <= 64; signal++)
		SYS(rt_sigaction, signal, by_default, NULL, 8);
}

/* Milliseconds. */
static inline u64 now(void)
{
	struct __kernel_timespec time = { 0 };

	SYS(clock_gettime, CLOCK_MONOTONIC, &time);
	return (u64)time.tv_sec * 1000 + (u64)time.tv_nsec / 1000000;
}

static inline __attribute__((noreturn)) void quit(int status)
{
	for (;;)
		SYS(exit_group, status);
}

/* What a wait status becomes for a shell and for docker: 0-255, 128+n for signal n. */
static inline int exit_status(u32 status)
{
	return status & 0x7f ? 128 + (int)(status & 0x7f) : (int)(status >> 8 & 0xff);
}

/* The compiler calls these three even in freestanding code. */
void *memcpy(void *to, const void *from, unsigned long size);
void *memset(void *to, int byte, unsigned long size);
int memcmp(const void *left, const void *right, unsigned long size);

#endif

/* One raw system call for the FFI adapter (src/linux/ffi.ts), a process of nothing but system calls, and the address of a buffer.
 * A library of its own instead of libc's syscall(3): the result is the kernel's (-errno on failure), so that no
 * thread-local errno has to be read in a second call, and nothing of libc is loaded. With ONLY_SYSCALL it is what the
 * executable copies into a page of its own (src/linux/ffi-bun.ts): code that depends on nothing around it.
 *
 * tsrun_child makes a process that shares this memory (clone(2) with CLONE_VM, so that no page is copied) and runs `calls`:
 * eight longs each, the number, six arguments and room for the result. The last one ends it. It uses no stack, so that it needs
 * none of its own; and its signals are blocked, since the handlers are those of a runtime whose thread it is not. */
#define CHILD_PLACE 256 /* where tsrun_child begins in the executable's page */

#if defined(__x86_64__)
__attribute__((visibility("default"))) long tsrun_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

#define RT_SIGPROCMASK 14
#define CLONE_AND_RUN(result, flags, calls) \
	__asm__ volatile("xor %%esi, %%esi\n\txor %%edx, %%edx\n\txor %%r10d, %%r10d\n\txor %%r8d, %%r8d\n\tsyscall\n" \
			 "	test %%rax, %%rax\n\tjnz 2f\n" \
			 "1:	mov (%%rbx), %%rax\n\tmov 8(%%rbx), %%rdi\n\tmov 16(%%rbx), %%rsi\n\tmov 24(%%rbx), %%rdx\n" \
			 "	mov 32(%%rbx), %%r10\n\tmov 40(%%rbx), %%r8\n\tmov 48(%%rbx), %%r9\n\tsyscall\n" \
			 "	mov %%rax, 56(%%rbx)\n\tadd $64, %%rbx\n\tjmp 1b\n2:" \
			 : "=a"(result) \
			 : "a"(56L), "D"(flags), "b"(calls) \
			 : "rsi", "rdx", "rcx", "r8", "r9", "r10", "r11", "memory")
#elif defined(__aarch64__)
__attribute__((visibility("default"))) long tsrun_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;
	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory", "cc");
	return x0;
}

#define RT_SIGPROCMASK 135
#define CLONE_AND_RUN(result, flags, calls) \
	do { \
		register long x0 __asm__("x0") = (flags), x8 __asm__("x8") = 220; \
		register long *x9 __asm__("x9") = (calls); \
		__asm__ volatile("mov x1, #0\n\tmov x2, #0\n\tmov x3, #0\n\tmov x4, #0\n\tsvc 0\n\tcbnz x0, 2f\n" \
				 "1:	ldp x8, x0, [x9]\n\tldp x1, x2, [x9, #16]\n\tldp x3, x4, [x9, #32]\n" \
				 "	ldr x5, [x9, #48]\n\tsvc 0\n\tstr x0, [x9, #56]\n\tadd x9, x9, #64\n\tb 1b\n2:" \
				 : "+r"(x0), "+r"(x8), "+r"(x9) \
				 : \
				 : "x1", "x2", "x3", "x4", "x5", "memory", "cc"); \
		result = x0; \
	} while (0)
#else
#error "tsrun knows x86-64 and arm64"
#endif

__attribute__((visibility("default"), aligned(CHILD_PLACE))) long tsrun_child(long flags, long *calls)
{
	unsigned long all = ~0UL, before;
	long result;

	tsrun_syscall(RT_SIGPROCMASK, 2, (long)&all, (long)&before, 8, 0, 0);
	CLONE_AND_RUN(result, flags, calls);
	tsrun_syscall(RT_SIGPROCMASK, 2, (long)&before, 0, 8, 0, 0);
	return result;
}

#ifndef ONLY_SYSCALL
__attribute__((visibility("default"))) void *tsrun_address(void *buffer)
{
	return buffer;
}
#endif

/* One raw system call for the FFI adapter (src/linux/ffi.ts), and the address of a buffer.
 * A library of its own instead of libc's syscall(3): the result is the kernel's (-errno on failure), so that no
 * thread-local errno has to be read in a second call, and nothing of libc is loaded. With ONLY_SYSCALL it is what the
 * executable copies into a page of its own (src/linux/ffi-bun.ts): code that depends on nothing around it. */

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
#else
#error "tsrun knows x86-64 and arm64"
#endif

#ifndef ONLY_SYSCALL
__attribute__((visibility("default"))) void *tsrun_address(void *buffer)
{
	return buffer;
}
#endif

/* From the small engine to the large one, in the same process: what execve(2) does with a file, from a place within a file.
 * The large engine's executable lies in this one behind the small engine (elf(5); the stack of a new program: getauxval(3), and
 * "Process Initialization" in the System V ABI). Its dynamic loader finds all as the kernel would have left it. */
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host.h"

#define PAGE 4096UL

static unsigned long down(unsigned long address)
{
	return address & -PAGE;
}

static unsigned long up(unsigned long address)
{
	return down(address + PAGE - 1);
}

struct image {
	Elf64_Ehdr header;
	Elf64_Phdr segments[32];
	unsigned long base; /* what is added to the addresses in the file */
	char loader[256];
};

static int read_image(int fd, unsigned long at, struct image *image)
{
	Elf64_Ehdr *header = &image->header;
	size_t size;
	int i;

	if (pread(fd, header, sizeof(*header), at) != sizeof(*header) || memcmp(header->e_ident, ELFMAG, SELFMAG))
		return -1;
	size = header->e_phnum * sizeof(Elf64_Phdr);
	if (header->e_phentsize != sizeof(Elf64_Phdr) || size > sizeof(image->segments) ||
	    pread(fd, image->segments, size, at + header->e_phoff) != (ssize_t)size)
		return -1;
	for (i = 0; i < header->e_phnum; i++) {
		Elf64_Phdr *segment = &image->segments[i];

		if (segment->p_type != PT_INTERP)
			continue;
		if (segment->p_filesz >= sizeof(image->loader) ||
		    pread(fd, image->loader, segment->p_filesz, at + segment->p_offset) != (ssize_t)segment->p_filesz)
			return -1;
	}
	return 0;
}

/* A file whose addresses are free gets a range that is. */
static int reserve(struct image *image)
{
	unsigned long end = 0;
	void *place;
	int i;

	if (image->header.e_type != ET_DYN)
		return 0;
	for (i = 0; i < image->header.e_phnum; i++)
		if (image->segments[i].p_type == PT_LOAD)
			end = up(image->segments[i].p_vaddr + image->segments[i].p_memsz);
	place = mmap(NULL, end, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (place == MAP_FAILED)
		return -1;
	image->base = (unsigned long)place;
	return 0;
}

static int map_segment(int fd, unsigned long at, struct image *image, const Elf64_Phdr *segment)
{
	int protection = (segment->p_flags & PF_R ? PROT_READ : 0) | (segment->p_flags & PF_W ? PROT_WRITE : 0) |
			 (segment->p_flags & PF_X ? PROT_EXEC : 0);
	int flags = MAP_PRIVATE | (image->base ? MAP_FIXED : MAP_FIXED_NOREPLACE);
	unsigned long start = image->base + segment->p_vaddr, file_end = start + segment->p_filesz;
	unsigned long end = up(start + segment->p_memsz), lead = start - down(start);

	if (segment->p_filesz &&
	    mmap((void *)down(start), lead + segment->p_filesz, protection, flags, fd, at + segment->p_offset - lead) == MAP_FAILED)
		return -1;
	if (segment->p_memsz <= segment->p_filesz)
		return 0;
	/* What the file does not fill is zeros: the rest of its last page, and pages of nothing. */
	memset((void *)file_end, 0, up(file_end) - file_end);
	if (end > up(file_end) &&
	    mmap((void *)up(file_end), end - up(file_end), protection, flags | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		return -1;
	return 0;
}

static int map_image(int fd, unsigned long at, struct image *image)
{
	int i;

	if (reserve(image))
		return -1;
	for (i = 0; i < image->header.e_phnum; i++)
		if (image->segments[i].p_type == PT_LOAD && map_segment(fd, at, image, &image->segments[i]))
			return -1;
	return 0;
}

/* The kernel's words about the program, behind its environment. */
static void set_auxiliary(char **argv, const struct image *program, const struct image *loader)
{
	char **end = argv;
	Elf64_auxv_t *entry;
	int i;

	while (*end++)
		;
	while (*end++)
		;
	for (entry = (Elf64_auxv_t *)end; entry->a_type != AT_NULL; entry++) {
		switch (entry->a_type) {
		case AT_PHDR:
			entry->a_un.a_val = program->base + program->header.e_phoff;
			for (i = 0; i < program->header.e_phnum; i++)
				if (program->segments[i].p_type == PT_PHDR)
					entry->a_un.a_val = program->base + program->segments[i].p_vaddr;
			break;
		case AT_PHENT:
			entry->a_un.a_val = program->header.e_phentsize;
			break;
		case AT_PHNUM:
			entry->a_un.a_val = program->header.e_phnum;
			break;
		case AT_BASE:
			entry->a_un.a_val = loader->base;
			break;
		case AT_ENTRY:
			entry->a_un.a_val = program->base + program->header.e_entry;
			break;
		}
	}
}

__attribute__((noreturn)) static void enter(unsigned long entry, void *stack)
{
#if defined(__x86_64__)
	__asm__ volatile("mov %1, %%rsp\n\txor %%edx, %%edx\n\txor %%ebp, %%ebp\n\tjmp *%0" : : "a"(entry), "c"(stack) : "memory");
#elif defined(__aarch64__)
	register unsigned long x9 __asm__("x9") = entry;
	register void *x10 __asm__("x10") = stack;
	__asm__ volatile("mov sp, x10\n\tmov x0, #0\n\tmov x29, #0\n\tmov x30, #0\n\tbr x9" : : "r"(x9), "r"(x10) : "memory");
#endif
	__builtin_unreachable();
}

/* glibc has told the kernel of a place in its memory, and the next one will want to do so too (man 2 rseq). */
static void forget_rseq(void)
{
#if __GLIBC_PREREQ(2, 35) && defined(__x86_64__)
	extern const ptrdiff_t __rseq_offset;
	extern const unsigned int __rseq_size;
	char *thread;

	__asm__("mov %%fs:0, %0" : "=r"(thread));
	if (__rseq_size)
		syscall(SYS_rseq, thread + __rseq_offset, 32, 1 /* RSEQ_FLAG_UNREGISTER */, 0x53053053);
#endif
}

/* What execve closes; signals are the caller's. */
static void close_on_exec(void)
{
	struct dirent *entry;
	DIR *descriptors = opendir("/proc/self/fd");

	while (descriptors && (entry = readdir(descriptors))) {
		int fd = atoi(entry->d_name), flags = fcntl(fd, F_GETFD);

		if (entry->d_name[0] != '.' && fd != dirfd(descriptors) && flags >= 0 && (flags & FD_CLOEXEC))
			close(fd);
	}
	if (descriptors)
		closedir(descriptors);
}

void hand_over(char **argv, int fd, unsigned long at)
{
	static struct image program, loader;
	int of_loader;

	if (read_image(fd, at, &program) || !program.loader[0])
		return;
	of_loader = open(program.loader, O_RDONLY | O_CLOEXEC);
	if (of_loader < 0 || read_image(of_loader, 0, &loader))
		return;
	if (map_image(fd, at, &program) || map_image(of_loader, 0, &loader))
		return;
	close(fd);
	close(of_loader);
	close_on_exec();
	fflush(NULL);
	set_auxiliary(argv, &program, &loader);
	forget_rseq();
	enter(loader.base + loader.header.e_entry, (long *)argv - 1);
}

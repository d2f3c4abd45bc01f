/* Reads programs from stdin, each behind its size (u32), and says of each whether the machine would take it: '1' or '0'. Built with
 * the sanitizers of gcc around the machine's own source; each program lies in memory of exactly its size. What a program
 * loads and stores is done too, its system calls are not made. */
#include "../../native/machine.c"

/* Not by their headers, which say other things than those of the kernel. */
extern void *malloc(unsigned long);
extern void free(void *);
extern long read(int, void *, unsigned long);
extern long write(int, const void *, unsigned long);

static volatile u64 sink;

static void touch(struct program_header *p)
{
	u8 *memory = program_memory(p);
	const struct program_op *op = (const void *)((const u8 *)p + p->op_offset);
	const struct program_reloc *reloc = (const void *)((const u8 *)p + p->reloc_offset);
	u64 value = 0;

	for (u32 i = 0; i < p->reloc_count; i++)
		__builtin_memcpy(memory + reloc[i].at, &value, 8);
	for (u32 i = 0; i < p->op_count; i++, op++) {
		for (int k = 0; k < 6; k++)
			sink += (u64)load_argument(memory, op->kind[k], op->argument[k]);
		if (op->store_width)
			__builtin_memcpy(memory + op->store, &value, op->store_width);
	}
}

static int take(void *to, u64 size)
{
	for (long n; size; to = (u8 *)to + n, size -= n)
		if ((n = read(0, to, size)) <= 0)
			return 0;
	return 1;
}

int main(void)
{
	u32 size;

	while (take(&size, 4)) {
		struct program_header *program = malloc(size ? size : 1);
		int fits;

		if (!take(program, size))
			return 2;
		fits = size >= sizeof(*program) && well_formed(program, size);
		if (fits)
			touch(program);
		write(1, fits ? "1" : "0", 1);
		free(program);
	}
	return 0;
}

/* The machine's check of programs as libFuzzer wants it: what an input reaches decides which inputs are changed further
 * (https://llvm.org/docs/LibFuzzer.html). Built with clang and its sanitizers. */
#define main checker_main
#include "checker.c"
#undef main

extern void *memcpy(void *, const void *, unsigned long);

int LLVMFuzzerTestOneInput(const u8 *data, unsigned long size)
{
	struct program_header *program = malloc(size ? size : 1);

	memcpy(program, data, size);
	if (size >= sizeof(*program) && well_formed(program, size))
		touch(program);
	free(program);
	return 0;
}

/* The program machine: maps a program (program.h), checks it, fills in its pointers and makes its system calls.
 * It knows no container; what it does is all in the program. */
#include "sys.h"

/* Whether `width` bytes at `offset` lie inside `size` bytes. */
static int inside(u64 offset, u64 width, u64 size)
{
	return offset <= size && width <= size - offset;
}

/* Every offset is looked at here, once, so that nothing below needs to. The tables and the memory must lie one behind
 * the other: then no operation can store into an operation. A branch leads forward only: every program ends. */
static int well_formed(const struct program_header *p, u64 size)
{
	static const u8 width[] = { [ARG_IMMEDIATE] = 0, [ARG_ADDRESS] = 0, [ARG_LOAD32] = 4, [ARG_LOAD64] = 8 };
	const struct program_op *op;
	const struct program_reloc *reloc;
	u64 memory_size;

	if (size < sizeof(*p) || p->magic != PROGRAM_MAGIC || p->version != PROGRAM_VERSION || p->size != size)
		return 0;
	if ((p->op_offset | p->reloc_offset | p->memory_offset) % 8 || p->op_offset < sizeof(*p) ||
	    p->op_offset + (u64)p->op_count * sizeof(*op) > p->reloc_offset ||
	    p->reloc_offset + (u64)p->reloc_count * sizeof(*reloc) > p->memory_offset || p->memory_offset > size)
		return 0;
	memory_size = size - p->memory_offset;

	reloc = (const void *)((const u8 *)p + p->reloc_offset);
	for (u32 i = 0; i < p->reloc_count; i++)
		if (!inside(reloc[i].at, 8, memory_size) || !inside(reloc[i].target, 0, memory_size))
			return 0;

	op = (const void *)((const u8 *)p + p->op_offset);
	for (u32 i = 0; i < p->op_count; i++, op++) {
		for (int k = 0; k < 6; k++) {
			if (op->kind[k] > ARG_LOAD64)
				return 0;
			if (op->kind[k] != ARG_IMMEDIATE && !inside(op->argument[k], width[op->kind[k]], memory_size))
				return 0;
		}
		if (op->expect > EXPECT_EQUAL)
			return 0;
		if (op->store_width != 0 && op->store_width != 4 && op->store_width != 8)
			return 0;
		if (!inside(op->store, op->store_width, memory_size))
			return 0;
		if (op->branch != PROGRAM_NONE && (op->branch <= i || op->branch >= p->op_count))
			return 0;
	}
	return p->config_offset == PROGRAM_NONE || p->config_offset <= memory_size;
}

int load_program(int fd, struct program_header **loaded)
{
	struct program_header *program;
	const struct program_reloc *reloc;
	u8 *memory;
	long size, address;

	size = SYS(lseek, fd, 0, SEEK_END);
	if (size < 0)
		return (int)size;
	if (size < (long)sizeof(*program))
		return -ENOEXEC;
	address = SYS(mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (address < 0 && address > -4096)
		return (int)address;
	program = (void *)address;
	if (!well_formed(program, size)) {
		SYS(munmap, program, size);
		return -ENOEXEC;
	}

	memory = program_memory(program);
	reloc = (const void *)((u8 *)program + program->reloc_offset);
	for (u32 i = 0; i < program->reloc_count; i++) {
		u64 pointer = (u64)(memory + reloc[i].target);
		__builtin_memcpy(memory + reloc[i].at, &pointer, 8);
	}
	*loaded = program;
	return 0;
}

static long load_argument(const u8 *memory, u8 kind, u64 argument)
{
	s32 narrow;
	s64 wide;

	switch (kind) {
	case ARG_ADDRESS:
		return (long)(memory + argument);
	case ARG_LOAD32: /* descriptors and pids: -1 stays -1 */
		__builtin_memcpy(&narrow, memory + argument, 4);
		return narrow;
	case ARG_LOAD64:
		__builtin_memcpy(&wide, memory + argument, 8);
		return wide;
	default:
		return (long)argument;
	}
}

/* The call of one operation with its retries. The monitor blocks all signals, and the child's side has no handlers, so
 * that only a stop or a freeze interrupts a call: then it is made again, however often. Not so close(2), whose
 * descriptor is gone by then and may be somebody else's. */
static long call(const struct program_op *op, const u8 *memory)
{
	u32 left = op->retry_count;
	long a[6], result;

	for (;;) {
		for (int i = 0; i < 6; i++)
			a[i] = load_argument(memory, op->kind[i], op->argument[i]);
		result = sys_call(op->number, a[0], a[1], a[2], a[3], a[4], a[5]);
		if (result == -EINTR && op->number != __NR_close)
			continue;
		if (result >= 0 || result != -(long)op->retry_errno || left-- == 0)
			return result;
	}
}

static int as_expected(const struct program_op *op, long result)
{
	switch (op->expect) {
	case EXPECT_NOT_NEGATIVE:
		return result >= 0;
	case EXPECT_EQUAL:
		return result == op->expect_value;
	default:
		return 1;
	}
}

static int tolerated(const struct program_op *op, long result)
{
	return result < 0 && (result == -(long)op->tolerate[0] || result == -(long)op->tolerate[1]);
}

void tell_error(int fd, u32 operation, u32 phase, int error)
{
	struct program_error message = { MESSAGE_ERROR, operation, phase, error };

	SYS(sendto, fd, &message, sizeof(message), MSG_NOSIGNAL, NULL, 0);
}

/* The end of a program that cannot go on. The child's side waits until the failure has been looked into; its exit
 * status is what docker's would be: 126 and 127 are the command's fault, 125 is ours. */
static int fail(const struct program_header *program, const struct program_op *op, int error, int in_child)
{
	const struct program_op *ops = (const void *)((const u8 *)program + program->op_offset);
	int exec = op->number == OP_FAIL || op->number == __NR_execve || op->number == __NR_execveat;
	u8 byte;

	tell_error(program->error_fd, (u32)(op - ops), op->phase, error);
	if (!in_child)
		return error > 0 ? -error : -EPROTO;
	while (SYS(recvfrom, program->error_fd, &byte, 1, 0, NULL, NULL) == -EINTR)
		;
	quit(!exec ? 125 : error == ENOENT ? 127 : 126);
}

/* The place where results are to be noted; shared, so that the child's side writes into it too. */
static struct program_trace *open_trace(const struct program_header *program)
{
	long address = -EBADF;

	if (program->trace_fd > 0)
		address = SYS(mmap, NULL, program->op_count * sizeof(struct program_trace), PROT_READ | PROT_WRITE, MAP_SHARED,
			      program->trace_fd, 0);
	return address < 0 && address > -4096 ? NULL : (void *)address;
}

static void note(struct program_trace *trace, long result, int timed)
{
	struct __kernel_timespec time = { .tv_nsec = 1 };

	trace->result = result;
	if (timed)
		SYS(clock_gettime, CLOCK_MONOTONIC, &time);
	trace->end = time.tv_sec * 1000000000ul + time.tv_nsec;
}

int run_program(struct program_header *program)
{
	const struct program_op *ops = (const void *)((u8 *)program + program->op_offset), *op;
	u8 *memory = program_memory(program);
	struct program_trace *trace = open_trace(program);
	int in_child = 0, remembered = ENOENT, timed = 1;

	for (u32 next = 0; next < program->op_count;) {
		long result;

		op = ops + next++;
		if (op->number == OP_END) {
			if (trace)
				SYS(munmap, trace, program->op_count * sizeof(*trace));
			return 0;
		}
		if (op->number == OP_FAIL)
			return fail(program, op, remembered, in_child);
		result = call(op, memory);
		if (trace && (op->number != __NR_clone3 || result != 0)) { /* of clone3 its maker tells */
			if (op->number == __NR_seccomp && program->trace_flags & TRACE_UNTIMED_FILTER)
				timed = 0;
			note(trace + (op - ops), result, timed);
		}
		if (as_expected(op, result)) {
			if (op->store_width)
				__builtin_memcpy(memory + op->store, &result, op->store_width);
			if (op->number == __NR_clone3 && result == 0) {
				in_child = 1;
				set_signal_mask(0); /* what the monitor blocks must not stay blocked in the container */
			}
			if (result == 0 && op->branch != PROGRAM_NONE)
				next = op->branch;
		} else if ((op->flags & OP_REMEMBER) && result == -EACCES) {
			remembered = EACCES;
		} else if (!tolerated(op, result)) {
			return fail(program, op, (int)-result, in_child);
		}
	}
	tell_error(program->error_fd, program->op_count, 0, ENOEXEC); /* neither OP_END nor OP_FAIL */
	if (in_child)
		quit(125);
	return -ENOEXEC;
}

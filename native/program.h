/* The program of a container's start: a flat list of system calls and one block of memory, as src/program/encode.ts
 * writes it and machine.c runs it. Little-endian; all offsets are in bytes from the start of the file unless an
 * offset is said to be into the memory block.
 *
 *   +--------+----------------+---------------------+------------------------------------------+
 *   | header | ops[op_count]  | relocs[reloc_count] | memory: strings, structs, argv, BPF, …   |
 *   +--------+----------------+---------------------+------------------------------------------+
 *
 * The machine maps the file privately, so that a fresh mapping is a fresh copy. It applies the relocations (memory
 * holds pointers only after that), then executes the operations in order. */
#ifndef TSRUN_PROGRAM_H
#define TSRUN_PROGRAM_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long u64;
typedef long s64;

#define PROGRAM_MAGIC 0x4e525354u /* "TSRN" */
#define PROGRAM_VERSION 1u

struct program_header {
	u32 magic;
	u32 version;
	u32 op_count;
	u32 reloc_count;
	u32 op_offset;
	u32 reloc_offset;
	u32 memory_offset;
	s32 error_fd;	     /* SOCK_SEQPACKET, close-on-exec in the container: where failures are told */
	u64 size;	     /* of the whole file */
	u32 config_offset;   /* into the memory block: struct monitor_config, or PROGRAM_NONE */
	s32 trace_fd;	     /* 0: none; else a memory file with room for op_count struct program_trace */
	u32 trace_flags;     /* TRACE_* */
	u32 reserved[3];
};

#define TRACE_UNTIMED_FILTER 1u /* the seccomp filter may refuse clock_gettime: no times behind it */

/* What became of an operation: written when its call has returned, also when it failed. Zeros: it has not. */
struct program_trace {
	s64 result;
	u64 end; /* CLOCK_MONOTONIC, nanoseconds; 1 where it is not known */
};

#define PROGRAM_NONE 0xffffffffu

/* How an argument is made. */
enum { ARG_IMMEDIATE, ARG_ADDRESS, ARG_LOAD32, ARG_LOAD64 };
/* What a result must be. */
enum { EXPECT_ANY, EXPECT_NOT_NEGATIVE, EXPECT_EQUAL };

/* Numbers beside those of the kernel. */
#define OP_END 0xffffffffu  /* the parent's side is done: back to the caller */
#define OP_FAIL 0xfffffffeu /* fails with the errno that OP_REMEMBER kept, or ENOENT: behind the last execve */

/* flags */
#define OP_REMEMBER 1u /* execve along PATH: an EACCES is tolerated and kept for OP_FAIL */

struct program_op {
	u32 number;
	u8 kind[6];
	u8 expect;
	u8 store_width; /* 0, 4 or 8 bytes of the result go to memory[store] */
	u16 tolerate[2];
	u16 retry_errno;
	u16 retry_count;
	u16 phase;
	u16 flags;
	u32 store;
	u32 branch; /* operation to go on with when the result is 0 (the child of clone3), or PROGRAM_NONE */
	s64 expect_value;
	u64 argument[6];
	u64 reserved;
};

struct program_reloc {
	u32 at;	    /* memory[at] becomes */
	u32 target; /* the address of memory[target] */
};

/* What the error socket carries. The failed child then waits for a message or EOF, so that the caller can look at
 * /proc/PID/root and say why; then it exits. */
struct program_error {
	u32 kind; /* MESSAGE_ERROR */
	u32 operation; /* PROGRAM_NONE: the program itself is malformed */
	u32 phase;
	s32 error; /* an errno; 0 or below: the call succeeded with the result -error, which was not the expected one */
};

/* Kinds of messages on the sync socket, each four 32-bit words: kind, then what it says. */
#define MESSAGE_CREATED 1u /* pid of the container's first process in the monitor's pid namespace */
#define MESSAGE_READY 2u   /* everything is set up; waits for one byte before execve */
#define MESSAGE_MOUNTED 3u /* before pivot_root; waits for one byte */
#define MESSAGE_ERROR 4u   /* struct program_error */
#define MESSAGE_STOP 6u    /* somebody wants to look; waits for one byte */

/* Maps the program in the file `fd` privately, checks every offset in it and fills in its pointers. Returns 0 and the
 * mapping (of program->size bytes), or a negative errno: -ENOEXEC where the file is no well-formed program. */
int load_program(int fd, struct program_header **program);

/* Runs a loaded program. Returns 0 at OP_END, a negative errno where an operation of the parent's side failed (the error
 * was told by then). The child's side never returns; it begins with no signal blocked. */
int run_program(struct program_header *program);

/* Sends a struct program_error to `fd`. */
void tell_error(int fd, u32 operation, u32 phase, int error);

static inline u8 *program_memory(struct program_header *program)
{
	return (u8 *)program + program->memory_offset;
}

#endif

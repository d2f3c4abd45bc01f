/**
 * JavaScriptCore keeps the shapes of all objects ("structures") in 4 GiB of addresses of their own, and asks the kernel not to
 * use huge pages there (madvise(2), MADV_NOHUGEPAGE). A command touches 60 to 100 pages of them, in two places: with huge
 * pages that is two faults. The engine has no setting for it, so the build changes the advice in the machine code.
 */

const MADV_HUGEPAGE = 14;
const MADV_NOHUGEPAGE = 15;

/**
 * What comes before the advice where it is given, on x86-64: madvise is tried again on EAGAIN (cmp [rax], 11; jne), and its
 * arguments are the range (mov rdi, r15; mov rsi, rbx) and the advice (mov edx, imm32). The call follows.
 */
const signature = Buffer.from('83380b75154c89ff4889deba', 'hex');

/**
 * Lets the structures of the engine lie in huge pages, in the bytes of an executable.
 * False where that is not to be found once, and as it is known: the file is then as it was.
 */
export function setStructureHeap(file) {
  const at = file.indexOf(signature);
  const advice = at + signature.length;
  if (at === -1 || file.indexOf(signature, at + 1) !== -1 || file.readInt32LE(advice) !== MADV_NOHUGEPAGE) return false;
  file.writeInt32LE(MADV_HUGEPAGE, advice);
  return true;
}

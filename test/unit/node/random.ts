/** Random input with a seed, so that a failure comes again. */
export class Random {
  constructor(private state: number) {}

  /** From 0 to `below` - 1. */
  below(below: number): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.state / 2 ** 32) * below);
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  bytes(length: number, below = 256): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(below));
  }

  text(length: number, letters: string): string {
    const all = [...letters];
    return Array.from({ length }, () => this.of(all)).join('');
  }
}

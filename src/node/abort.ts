export class AbortSignal { aborted = false; l: any[] = []; addEventListener(_: string, f: any) { this.l.push(f); } removeEventListener(_: string, f: any) { this.l = this.l.filter((x) => x !== f); } }
export class AbortController { signal = new AbortSignal(); abort() { if (this.signal.aborted) return; this.signal.aborted = true; for (const f of this.signal.l) f(); } }

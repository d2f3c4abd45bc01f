const def = (p: any, name: string, f: any) => { if (p[name] === undefined) Object.defineProperty(p, name, { value: f, writable: true, configurable: true }); };
function at(this: any, i: number) { i = Math.trunc(i) || 0; return this[i < 0 ? this.length + i : i]; }
def(Array.prototype, 'at', at); def(String.prototype, 'at', at); def(Object.getPrototypeOf(Uint8Array.prototype), 'at', at);
def(Array.prototype, 'findLast', function (this: any, f: any) { for (let i = this.length - 1; i >= 0; i--) if (f(this[i], i, this)) return this[i]; return undefined; });
def(Array.prototype, 'findLastIndex', function (this: any, f: any) { for (let i = this.length - 1; i >= 0; i--) if (f(this[i], i, this)) return i; return -1; });
def(Array.prototype, 'toSorted', function (this: any, f: any) { return [...this].sort(f); });
def(Array.prototype, 'toReversed', function (this: any) { return [...this].reverse(); });
def(Object, 'hasOwn', (o: any, k: any) => Object.prototype.hasOwnProperty.call(o, k));

import { engine } from './engine.ts';
export class TextDecoder { constructor(readonly encoding = 'utf-8', readonly o: any = {}) {} decode(b: any) { if (this.o.fatal && !engine.isUtf8(b)) throw new TypeError('x'); return engine.decodeUtf8(b, 0, b.length); } }
export class TextEncoder { encode(t: string) { return new Uint8Array(engine.encodeUtf8(t)); } }

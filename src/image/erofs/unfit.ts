/** Thrown for a layer that EROFS cannot say, or that depends too much on those below: it is unpacked instead. */
export class Unfit extends Error {}

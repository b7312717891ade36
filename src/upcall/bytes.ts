/** Masks and action lists are compared for each flow that is reviewed, so by the native compare. */
export const equalBytes = (left: Uint8Array, right: Uint8Array): boolean => Buffer.compare(left, right) === 0;

// The generator of random tests is the validator's.
export { SeededRandom } from "../../src/compile/validate/random.ts";

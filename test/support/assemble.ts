import wabtInit from "wabt";

/** Assembles WebAssembly text with the features that Node 20 has; throws with wabt's message on bad text. */
export async function assembleIntrinsics(text: string): Promise<Uint8Array> {
  const wabt = await wabtInit();
  const module = wabt.parseWat("intrinsics.wat", text, { threads: true, simd: true, bulk_memory: true });
  try {
    return module.toBinary({}).buffer;
  } finally {
    module.destroy();
  }
}

// `npm start`: the switch at work, in under a minute. As root on Linux between two namespaces with AF_XDP ports;
// elsewhere over capture files. Exit code 0 only when every step worked. `--keep` leaves it running until Ctrl-C,
// or the captures where they are.
import { labUnavailable } from "../test/support/netns.ts";
import { runCaptureDemo } from "./demo-capture.ts";
import { runNamespaceDemo } from "./demo-namespaces.ts";

const keep = process.argv.includes("--keep");
const unavailable = labUnavailable();
try {
  if (unavailable === undefined) {
    await runNamespaceDemo(keep);
  } else {
    console.log(`millrace: ${unavailable}; showing the switch over capture files instead\n`);
    runCaptureDemo(keep);
  }
} catch (error) {
  console.error(`\nmillrace: ${(error as Error).message}`);
  process.exitCode = 1;
}

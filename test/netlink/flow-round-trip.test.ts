// A flow's whole way: text to key, mask and actions, to attributes in a message of ovs_flow, and back to the same text.
// Random flows of every kind of header, with the recorded random action lists; and messages with damage anywhere, which
// are refused with a reason or mean another flow, and nothing else.
import fc from "fast-check";
import t from "tap";
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { printActions } from "../../src/action/odp/print-actions.ts";
import { validateActions } from "../../src/action/validate.ts";
import { FlowKeyError } from "../../src/flow/odp/fit.ts";
import {
  attributesFromMatch,
  formatMatch,
  matchFromAttributes,
  parseMatch,
} from "../../src/flow/odp/match.ts";
import { decodeAttributes, encodeAttributes } from "../../src/netlink/attribute-table.ts";
import { NetlinkError } from "../../src/netlink/errno.ts";
import { FLOW_ATTRIBUTES, FLOW_COMMAND } from "../../src/netlink/flow-messages.ts";
import {
  encodeGeneric,
  GENL_HEADER_BYTES,
  messageAt,
  NLMSG_HEADER_BYTES,
  OVS_HEADER_BYTES,
} from "../../src/netlink/message.ts";
import { randomMatch } from "../flow/random-match.ts";
import { readOracleRows } from "../support/corpora.ts";
import type { RecordedActions } from "../support/oracle-rows.ts";
import { runs } from "../support/seed.ts";

const VLAN_LIMIT = 2;
const HEADER = { type: 19, flags: 1, sequence: 7, pid: 42 };
const ATTRIBUTES_AT = NLMSG_HEADER_BYTES + GENL_HEADER_BYTES + OVS_HEADER_BYTES;

const actionTexts = fc.constantFrom(
  ...new Set(readOracleRows<RecordedActions>("actions.jsonl").map(({ actionsDump }) => actionsDump)),
);
const verbose = true;

/** A flow as text, and the message that says it. */
const flows = fc.tuple(randomMatch, actionTexts).map(([match, actions]) => {
  const text = formatMatch(match, { verbose, vlanLimit: VLAN_LIMIT });
  const { key, mask } = parseMatch(text, { vlanLimit: VLAN_LIMIT });
  const attributes = attributesFromMatch({ key, mask }, VLAN_LIMIT);
  const values = { key: attributes.key, mask: attributes.mask, actions: parseActions(actions) };
  const payload = encodeAttributes(FLOW_ATTRIBUTES, values);
  return {
    text,
    actions,
    bytes: encodeGeneric(HEADER, { command: FLOW_COMMAND.new, version: 1 }, 1, payload),
  };
});

/** What a message says, as text. @throws NetlinkError, FlowKeyError */
function read(bytes: Uint8Array): { flow: string; actions: string; refused: boolean } {
  const message = messageAt(bytes)!;
  const { values } = decodeAttributes(FLOW_ATTRIBUTES, message.bytes, ATTRIBUTES_AT, "ovs_flow");
  if (values.key === undefined) throw new NetlinkError("EINVAL", "no key", ATTRIBUTES_AT);
  const match = matchFromAttributes(values.key, values.mask ?? new Uint8Array(0), VLAN_LIMIT);
  const actions = values.actions ?? new Uint8Array(0);
  return {
    flow: formatMatch(match, { verbose, vlanLimit: VLAN_LIMIT }),
    actions: printActions(actions),
    refused: validateActions(actions, match.key, match.mask) !== undefined,
  };
}

t.test("text, bytes, message, and the same text again", async () => {
  fc.assert(
    fc.property(flows, ({ text, actions, bytes }) => {
      const again = read(bytes);
      const expected = formatMatch(parseMatch(text, { vlanLimit: VLAN_LIMIT }), {
        verbose,
        vlanLimit: VLAN_LIMIT,
      });
      if (again.flow !== expected) throw new Error(`${text}\n${again.flow}`);
      if (again.actions !== actions) throw new Error(`${actions}\n${again.actions}`);
    }),
    runs(1500),
  );
});

t.test("damage is refused with a reason, or makes another flow", async (t) => {
  const changes = fc.array(fc.tuple(fc.nat(1200), fc.nat(255)), { minLength: 1, maxLength: 5 });
  let refused = 0;
  let taken = 0;
  fc.assert(
    fc.property(flows, changes, ({ bytes }, places) => {
      const damaged = bytes.slice();
      const span = bytes.length - ATTRIBUTES_AT;
      for (const [place, byte] of places) damaged[ATTRIBUTES_AT + (place % span)] = byte;
      try {
        if (read(damaged).refused) refused += 1;
        else taken += 1;
      } catch (error) {
        if (!(error instanceof NetlinkError || error instanceof FlowKeyError)) throw error;
        if (error.message === "") throw error;
        refused += 1;
      }
    }),
    runs(3000),
  );
  t.ok(refused > 100 && taken > 100, `${refused} refused, ${taken} taken`);
});

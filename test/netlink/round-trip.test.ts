// Round trips of random flows through every form they have: text, key and mask, netlink attributes in a message, and
// back to the same text; and of damaged attributes, which are refused or mean what they then say.
import fc from "fast-check";
import t from "tap";
import { parseActions } from "../../src/action/odp/parse-actions.ts";
import { printActions } from "../../src/action/odp/print-actions.ts";
import { validateActions } from "../../src/action/validate.ts";
import { keysEqual, newKey } from "../../src/flow/key.ts";
import { FlowKeyError } from "../../src/flow/odp/fit.ts";
import {
  attributesFromMatch,
  formatMatch,
  matchFromAttributes,
  parseMatch,
} from "../../src/flow/odp/match.ts";
import { decodeAttributes, encodeAttributes } from "../../src/netlink/attribute-table.ts";
import { FLOW_ATTRIBUTES } from "../../src/netlink/flow-messages.ts";
import { randomMatch } from "../flow/random-match.ts";
import { runs } from "../support/seed.ts";

const VLAN_LIMIT = 2;
const ACTIONS = fc
  .array(
    fc.constantFrom(
      "1",
      "trunc(100)",
      "set(skb_mark(0x5))",
      "set(eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02))",
      "set(ipv4(src=1.2.3.4,ttl=7))",
      "push_vlan(vid=5,pcp=1)",
      "pop_vlan",
      "userspace(pid=7,userdata(0102030405060708),actions)",
      "sample(sample=50.0%,actions(2,clone(3)))",
      "check_pkt_len(size=200,gt(4),le(5))",
      "recirc(0x7)",
      "hash(l4(0))",
      "meter(3)",
      "psample(group=1,cookie=0x0102)",
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((list) => list.join(","));

t.test("a flow comes through a message as the text that it went in with", async (t) => {
  fc.assert(
    fc.property(randomMatch, ACTIONS, (match, actionText) => {
      const options = { vlanLimit: VLAN_LIMIT };
      const text = formatMatch(match, options);
      const read = parseMatch(text, options);
      const actions = parseActions(actionText);
      const message = encodeAttributes(FLOW_ATTRIBUTES, {
        ...attributesFromMatch(read, VLAN_LIMIT),
        actions,
      });
      const { values } = decodeAttributes(FLOW_ATTRIBUTES, message, 0, "flow");
      const back = matchFromAttributes(values.key!, values.mask!, VLAN_LIMIT);
      t.ok(keysEqual(back.mask, read.mask), "mask");
      t.equal(formatMatch(back, options), text);
      t.equal(printActions(values.actions!), printActions(actions));
    }),
    runs(300),
  );
});

t.test("damaged keys and masks are refused, or what they say reads back", async (t) => {
  let refused = 0;
  fc.assert(
    fc.property(
      randomMatch,
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      (match, at, bits, inKey) => {
        const { key, mask } = attributesFromMatch(match, VLAN_LIMIT);
        const damaged = inKey ? key : mask;
        damaged[at % damaged.length]! ^= bits;
        try {
          const read = matchFromAttributes(key, mask, VLAN_LIMIT);
          const again = attributesFromMatch(read, VLAN_LIMIT);
          const back = matchFromAttributes(again.key, again.mask, VLAN_LIMIT);
          return (
            formatMatch(back, { vlanLimit: VLAN_LIMIT }) === formatMatch(read, { vlanLimit: VLAN_LIMIT })
          );
        } catch (error) {
          if (!(error instanceof FlowKeyError)) throw error;
          refused += 1;
          return error.problem.byteOffset <= Math.max(key.length, mask.length) && error.problem.rule !== "";
        }
      },
    ),
    runs(600),
  );
  t.ok(refused > 50, `${refused} of 600 were refused`);
});

/** Userdata in text is filled up with zeros to 8 bytes, as OVS does it for old kernels (odp_put_userspace_action). */
const withWholeUserdata = (text: string): string =>
  text.replace(/userdata\(([0-9a-f]*)\)/g, (_, hex: string) => `userdata(${hex.padEnd(16, "0")})`);

t.test("damaged actions are refused with their place, or print and read back", async (t) => {
  let refused = 0;
  fc.assert(
    fc.property(ACTIONS, fc.nat(), fc.integer({ min: 1, max: 255 }), (text, at, bits) => {
      const actions = parseActions(text);
      actions[at % actions.length]! ^= bits;
      const refusal = validateActions(actions, newKey(), newKey());
      if (refusal !== undefined) {
        refused += 1;
        return refusal.byteOffset <= actions.length && refusal.accepted !== "";
      }
      const printed = printActions(actions);
      return printActions(parseActions(printed)) === withWholeUserdata(printed);
    }),
    runs(600),
  );
  t.ok(refused > 50, `${refused} of 600 were refused`);
});

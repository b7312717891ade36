// Values that several settings of millrace.yaml share.
import * as v from "valibot";

export const wholeNumber = (least: number, most: number) =>
  v.pipe(
    v.number("a whole number is expected"),
    v.integer("a whole number is expected"),
    v.minValue(least, `${least} is the least`),
    v.maxValue(most, `${most} is the most`),
  );

/** IFNAMSIZ less the terminating zero; datapath port names share the limit so that a port can become an interface. */
export const PORT_NAME_LENGTH_MAX = 15;
const VLAN_MAX = 4094;
const vlan = wholeNumber(1, VLAN_MAX);

export const vlanMode = v.strictObject({
  mode: v.optional(
    v.picklist(
      ["access", "trunk", "native-tagged", "native-untagged"],
      "access, trunk, native-tagged or native-untagged",
    ),
  ),
  tag: v.optional(vlan),
  trunks: v.optional(v.array(vlan)),
});

export const portName = v.pipe(
  v.string("a name is expected"),
  v.regex(/^[^\s/,:()=]+$/, "a name without blanks and without / , : ( ) = is expected"),
  v.maxLength(PORT_NAME_LENGTH_MAX, `${PORT_NAME_LENGTH_MAX} characters are the most`),
);

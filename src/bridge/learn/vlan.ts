// VLANs of a port, as OVS's vlan_mode has them: which VLAN a received frame belongs to, and how a frame of a VLAN leaves.

export const VLAN_MODES = ["access", "trunk", "native-tagged", "native-untagged"] as const;
export type VlanMode = (typeof VLAN_MODES)[number];

export interface PortVlan {
  readonly mode: VlanMode;
  /** VLAN of an access port, native VLAN of a native port; 0 for a trunk. */
  readonly tag: number;
  /** VLANs of a trunk; empty means all. */
  readonly trunks: readonly number[];
}

/** A port of which nothing is said: a trunk of all VLANs. */
export const TRUNK_OF_ALL: PortVlan = { mode: "trunk", tag: 0, trunks: [] };

/** Fills a configuration in: a tag alone means access, as in OVS. */
export function portVlan(given: {
  readonly mode?: VlanMode | undefined;
  readonly tag?: number | undefined;
  readonly trunks?: readonly number[] | undefined;
}): PortVlan {
  const mode = given.mode ?? (given.tag === undefined ? "trunk" : "access");
  return { mode, tag: given.tag ?? 0, trunks: given.trunks ?? [] };
}

export function isSameVlan(left: PortVlan, right: PortVlan): boolean {
  const trunks = new Set(left.trunks);
  return (
    left.mode === right.mode &&
    left.tag === right.tag &&
    trunks.size === new Set(right.trunks).size &&
    right.trunks.every((vlan) => trunks.has(vlan))
  );
}

/** What has no VLAN belongs to the native VLAN of a native port, so such a port never carries VLAN 0, as in OVS. */
const inTrunks = ({ mode, tag, trunks }: PortVlan, vlan: number): boolean =>
  (trunks.length === 0 || trunks.includes(vlan)) && (mode === "trunk" || tag === 0 || vlan !== 0);

/** The VLAN of a frame received with this VID (0: untagged or priority-tagged); undefined when it may not come in. */
export function inputVlan(port: PortVlan, vid: number): number | undefined {
  if (port.mode === "access") return vid === 0 ? port.tag : undefined;
  if (port.mode === "trunk") return inTrunks(port, vid) ? vid : undefined;
  if (vid === 0 || vid === port.tag) return port.tag;
  return inTrunks(port, vid) ? vid : undefined;
}

/**
 * How a frame of this VLAN leaves: "tagged", "untagged", or undefined when it may not. A tag of VLAN 0 is a priority
 * tag: it stays where there is a priority to tell.
 */
export function outputForm(port: PortVlan, vlan: number): "tagged" | "untagged" | undefined {
  if (port.mode === "access") return port.tag === vlan ? "untagged" : undefined;
  if (port.mode !== "trunk" && vlan === port.tag)
    return port.mode === "native-tagged" ? "tagged" : "untagged";
  return inTrunks(port, vlan) ? "tagged" : undefined;
}

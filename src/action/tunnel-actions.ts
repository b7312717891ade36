// Where the executor hands packets to encapsulate and to decapsulate. The tunnel room implements it; one for each
// thread, so calls stay monomorphic. Hot.

export interface TunnelActions {
  /** Why the last push or pop failed: one of ACTION_END. */
  readonly failure: number;
  /** Bytes from the first of the packet pushed last to its outer network header, and to what is behind that. */
  readonly outerL3: number;
  readonly outerL4: number;
  /** Of the packet popped last: 0 for an Ethernet frame inside, else the Ethertype of the network header. */
  readonly innerType: number;
  /** The port that the packet popped last is for: the one asked for, or one that shares its place. */
  readonly poppedPort: number;
  /** Key lines that the last pop wrote, bit n for line n; they are no others than tunnels use. */
  readonly tunnelLines: number;
  /**
   * set(tunnel(...)): the key of the packet in hand for ports of tunnels, until it is set to 0 again.
   * @param at arena offset of the attribute's payload, valid until the burst ends
   * @param bytes of the payload; negative when tunnel fields of a flow key stand there instead
   */
  setEgressKey(at: number, bytes: number): void;
  /**
   * tnl_push. Returns the packet's first frame; NO_FRAME, packet untouched, when it could not be done.
   * @param payload arena offset of the action's argument
   * @param innerType 0 when the packet begins with Ethernet, else its Ethertype
   */
  push(frame: number, payload: number, innerType: number): number;
  /**
   * tnl_pop, without taking anything off: reads the outer headers and writes the tunnel fields of a key.
   * Returns how many bytes to take off, negative when the packet is not to be taken.
   * @param l3 offset of the network header, `l4` of what is behind it; negative for none
   * @param key arena offset of a key slot, whose `dirtyLines` are not zero
   */
  pop(frame: number, l3: number, l4: number, portNo: number, key: number, dirtyLines: number): number;
}

// set(arp(...)): the fields of an ARP header for IPv4 over Ethernet. Hot, per packet; writes packet bytes only. Value and
// mask are OVS's struct of 24 bytes, in another order than the header: sip 4, tip 4, op 2, sha 6, tha 6, padding.
import { ARP } from "../packet/link-headers.ts";
import { blend8 } from "./blend.ts";

// Module constants, because V8 folds them and loads an imported table anew each time.
const OPERATION_AT = ARP.operation;
const SENDER_HARDWARE_AT = ARP.senderHardware;
const SENDER_PROTOCOL_AT = ARP.senderProtocol;
const TARGET_HARDWARE_AT = ARP.targetHardware;
const TARGET_PROTOCOL_AT = ARP.targetProtocol;

export function setArp(u8: Uint8Array, arp: number, value: number, mask: number): void {
  setBytes(u8, arp + SENDER_PROTOCOL_AT, value, mask, 0, 4);
  setBytes(u8, arp + TARGET_PROTOCOL_AT, value, mask, 4, 4);
  setBytes(u8, arp + OPERATION_AT, value, mask, 8, 2);
  setBytes(u8, arp + SENDER_HARDWARE_AT, value, mask, 10, 6);
  setBytes(u8, arp + TARGET_HARDWARE_AT, value, mask, 16, 6);
}

function setBytes(
  u8: Uint8Array,
  at: number,
  value: number,
  mask: number,
  field: number,
  bytes: number,
): void {
  for (let index = 0; index < bytes; index += 1)
    u8[at + index] = blend8(u8, u8[at + index]!, value, mask, field + index);
}

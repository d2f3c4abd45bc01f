/** Answers of the kernel by netlink: nothing of them may be read behind its end, and none may keep us for ever. */

import { dumpLinks, parseLink } from '../../src/linux/netlink-link.ts';
import { attribute, decodeMessages, encodeMessage, nested, text, u32 } from '../../src/linux/netlink-message.ts';
import { parseChain, parseRule, parseTable } from '../../src/linux/netlink-nftables.ts';
import { parseElements } from '../../src/linux/netlink-nftables-sets.ts';
import { parseAddress, parseRoute } from '../../src/linux/netlink-route.ts';
import { refusing, type Target } from './target.ts';

const parsers = [parseLink, parseAddress, parseRoute, parseTable, parseChain, parseRule, parseElements];

function seeds(): Buffer[] {
  const header = Buffer.alloc(16);
  const link = Buffer.concat([
    header,
    attribute(3, text('eth0')),
    attribute(4, u32(1500)),
    attribute(1, Buffer.alloc(6)),
  ]);
  const info = nested(18, attribute(1, text('veth')), nested(2, attribute(1, u32(1))));
  const table = Buffer.concat([Buffer.from([1, 0, 0, 0]), attribute(1, text('tsrun')), attribute(6, text('note'))]);
  const list = nested(3, nested(1, nested(1, attribute(1, u32(7))), nested(2, attribute(1, u32(8)))));
  const message = (type: number, body: Buffer): Buffer => encodeMessage(type, 2, 1, body);
  return [
    message(16, link),
    message(16, Buffer.concat([link, info])),
    message(20, Buffer.concat([Buffer.from([2, 24, 0, 0, 1, 0, 0, 0]), attribute(1, u32(0x0100007f))])),
    message(24, Buffer.concat([Buffer.alloc(12), attribute(15, u32(254)), attribute(5, u32(1)), attribute(4, u32(3))])),
    message(0xa00, table),
    message(0xa0c, Buffer.concat([table, list])),
    Buffer.concat([message(16, link), message(3, u32(0))]),
    dumpLinks().body === undefined ? Buffer.alloc(0) : Buffer.from(dumpLinks().body),
  ];
}

export const netlinkTarget: Target = {
  name: 'netlink',
  words: ['\x04\0\x01\0', '\xff\xff', '\0\x80', '\x08\0\x02\0'],
  seeds,
  run(input) {
    for (const message of refusing(() => decodeMessages(input)) ?? []) {
      for (const parse of parsers) refusing(() => parse(message));
    }
  },
};

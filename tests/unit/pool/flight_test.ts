/**
 * Requests to a far side, made of records: which join, and what they read again.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  JOURNAL_WRITE,
  JOURNAL_ZEROES,
} from "../../../metadata/journal/mod.ts";
import { Flight } from "../../../pool/remote/flight.ts";
import { FlightBuffers } from "../../../pool/remote/flight_buffers.ts";
import { pattern } from "../../helpers/scratch.ts";

const CONTENT = pattern(4096, 1);

/** A journal that has, of each record, the bytes of a disk. */
const journal = {
  read(_record: unknown, start: number, target: Uint8Array): undefined {
    target.set(CONTENT.subarray(start, start + target.length));
  },
};

function piece(start: number, end: number, kind = JOURNAL_WRITE) {
  const record = { kind, noHole: false, sequence: 1, position: 0, end: 0 };
  return {
    start,
    end,
    record: { ...record, offset: start, length: end - start },
  };
}

Deno.test("Flight reads any part of its pieces again", () => {
  const flight = new Flight(piece(512, 1024), journal);
  assert(flight.join(piece(1024, 1536)));
  assert(flight.join(piece(1536, 2048)));
  for (const [start, end] of [[512, 2048], [700, 701], [1000, 1600]]) {
    const target = new Uint8Array((end ?? 0) - (start ?? 0));
    flight.read(target, start ?? 0);
    assertEquals(target, CONTENT.slice(start, end));
  }
});

Deno.test("Flight joins what follows and is of its kind", () => {
  const flight = new Flight(piece(512, 1024), journal);
  assert(!flight.join(piece(2048, 4096)));
  assert(!flight.join(piece(1024, 4096, JOURNAL_ZEROES)));
  assert(!flight.join(piece(1024, 512 + (1 << 20) + 1)));
  assert(flight.join(piece(1024, 512 + (1 << 20))));
});

Deno.test("FlightBuffers gives out no buffer twice, and uses them again", () => {
  const buffers = new FlightBuffers();
  for (const length of [1, 4096, 4097, 1 << 20]) {
    const [one, two] = [buffers.take(length), buffers.take(length)];
    assertEquals([one.length, two.length], [length, length]);
    assert(one.buffer !== two.buffer);
    buffers.give(one);
    assertEquals(buffers.take(length).buffer, one.buffer);
  }
});

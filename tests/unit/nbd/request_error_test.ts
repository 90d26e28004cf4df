/**
 * Goal: what is logged of a request that the device fails names the request as
 * the client made it, whatever pieces the server has made of it. Method: a
 * device whose operations fail from an offset on, at once or later.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import { NBD } from "../../helpers/nbd_client.ts";
import { HeldDevice } from "./held_device.ts";
import { serve, until } from "./serving.ts";

const MIB = 1024 * 1024;
/** Where the disk is broken: inside of what is asked for, not at its start. */
const BROKEN = 5 * MIB;

class BrokenDevice extends HeldDevice {
  constructor(isLate: boolean) {
    super(40 * MIB);
    const fail = (end: number) => {
      if (end <= BROKEN) return undefined;
      const error = new VirstorError("io", "Cannot reach the spindle");
      if (isLate) return Promise.reject(error);
      throw error;
    };
    this.read = (target, offset) => fail(offset + target.length);
    this.write = (source, offset) => fail(offset + source.length);
    this.discard = (offset, length) => fail(offset + length);
    this.writeZeroes = (offset, length) => fail(offset + length);
    this.flush = () => fail(Infinity);
  }
}

/** A request, and how the log names it. */
const REQUESTS = [
  [{ command: NBD.CMD_READ, offset: BROKEN - 512, length: 4096 }, "READ"],
  [{ command: NBD.CMD_READ, offset: 1 * MIB, length: 8 * MIB }, "READ"],
  [{
    command: NBD.CMD_READ,
    offset: 3 * MIB,
    length: 8 * MIB,
    flags: NBD.CMD_FLAG_DF,
  }, "READ"],
  [{
    command: NBD.CMD_WRITE,
    offset: BROKEN - 512,
    payload: new Uint8Array(4096),
  }, "WRITE"],
  [{
    command: NBD.CMD_WRITE,
    offset: 4 * MIB,
    payload: new Uint8Array(4 * MIB),
  }, "WRITE"],
  [{ command: NBD.CMD_TRIM, offset: 4096, length: 30 * MIB }, "TRIM"],
  [{
    command: NBD.CMD_WRITE_ZEROES,
    offset: 8192,
    length: 30 * MIB,
  }, "WRITE_ZEROES"],
  [{ command: NBD.CMD_FLUSH }, "FLUSH"],
] as const;

for (const dialect of ["simple", "structured", "extended"] as const) {
  for (const isLate of [false, true]) {
    const when = isLate ? "later" : "at once";
    Deno.test(`a request that fails ${when} is logged as it came (${dialect})`, async () => {
      for (const [request, name] of REQUESTS) {
        // DF is a flag of the dialects with chunks.
        if (dialect === "simple" && "flags" in request) continue;
        // Other clients log at most one failure a second.
        const device = new BrokenDevice(isLate);
        await using serving = await serve({ device });
        using client = await serving.open(dialect);
        await client.send(request);
        // A long answer that was begun ends with the connection.
        const answered = client.receive().catch(() => undefined);
        const error = () => serving.events.find(({ kind }) => kind === "error");
        await until(`${name} is logged`, () => error() !== undefined);
        const told = error();
        await answered;
        const size = "payload" in request
          ? request.payload.length
          : "length" in request
          ? request.length
          : 0;
        const where = "offset" in request
          ? ` of ${size} bytes at ${request.offset}`
          : "";
        const wanted = `${name}${where}: Cannot reach the spindle`;
        assert(told?.message.startsWith(wanted), `${told?.message} ${wanted}`);
      }
    });
  }
}

Deno.test("offsets beyond 2^32 are logged exactly", async () => {
  const device = new BrokenDevice(false);
  Object.defineProperty(device, "size", { value: 2 ** 50 });
  await using serving = await serve({ device });
  using client = await serving.open("extended");
  const offset = 2 ** 49 + 2 ** 31 + 512;
  const { errno } = await client.call({
    ...{ command: NBD.CMD_TRIM, offset, length: 2 ** 40 },
  });
  assertEquals(errno, NBD.EIO);
  assertEquals(
    serving.events.find(({ kind }) => kind === "error")?.message,
    `TRIM of ${2 ** 40} bytes at ${offset}: Cannot reach the spindle`,
  );
});

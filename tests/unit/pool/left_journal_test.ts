/**
 * Journals of components on other machines that have left their pool: they are
 * removed, but not while the far side may lack something.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { clearLabels, labelPool, openPool } from "../../../pool/mod.ts";
import { openRemoteComponent } from "../../../pool/remote/mod.ts";
import { FarMemory } from "../../helpers/far_memory.ts";
import { eventually } from "../../helpers/patience.ts";
import {
  makeScratch,
  MIB,
  pattern,
  type Scratch,
} from "../../helpers/scratch.ts";

const FAR_SIZE = 8 * MIB;
const URI = "nbd://far/";

/** A far side, and its latest connection. */
class Far {
  connection: FarMemory = new FarMemory(FAR_SIZE);
  readonly #content: Uint8Array = this.connection.content;
  readonly #scratch: Scratch;

  constructor(scratch: Scratch) {
    this.#scratch = scratch;
    Deno.mkdirSync(this.#journals);
  }

  get #journals(): string {
    return this.#scratch.file("journals");
  }

  /** How to reach it. */
  get remote() {
    return {
      connect: () => {
        const capabilities = { readOnly: false };
        const disk = new FarMemory(FAR_SIZE, this.#content);
        this.connection = disk;
        return Promise.resolve(Object.assign(disk, { capabilities }));
      },
      journals: this.#journals,
      journalSize: MIB,
      intervalMs: 1000,
    };
  }

  /** Number of journals on this machine. */
  get journals(): number {
    return [...Deno.readDirSync(this.#journals)].length;
  }
}

Deno.test("the journal of a component that was removed is removed with it", async () => {
  await using scratch = await makeScratch();
  const far = new Far(scratch);
  const { remote } = far;
  const near = scratch.file("near");
  await labelPool({ name: "p", paths: [near], createSize: 8 * MIB });
  await using pool = await openPool([near], { remote });
  await pool.add([URI]);
  assertEquals(far.journals, 1);
  await pool.volume().write(pattern(3 * MIB, 1), 0);
  await pool.remove([URI]);
  await pool.evacuated(URI);
  await eventually("it is removed", () => far.journals === 0);
});

Deno.test("the journal of a component that was cleared is removed", async () => {
  await using scratch = await makeScratch();
  const far = new Far(scratch);
  const { remote } = far;
  await labelPool({ name: "p", paths: [URI], remote });
  assertEquals(far.journals, 1);
  await clearLabels([URI], { remote });
  assertEquals(far.journals, 0);
});

Deno.test("the journal of a component that leaves stays while the far side lacks something", async () => {
  await using scratch = await makeScratch();
  const far = new Far(scratch);
  const open = async () => {
    const { connect, ...rest } = far.remote;
    return await openRemoteComponent({
      ...{ ...rest, path: URI, host: "here", far: await connect() },
      journalOf: (uuid) => `${rest.journals}/${uuid}`,
    });
  };
  const component = await open();
  far.connection.hold();
  component.write(pattern(5000, 1), 0);
  component.leave();
  component.giveUp("it is a test");
  await component.close();
  assertEquals(far.journals, 1);
  const again = await open();
  await again.flush();
  again.leave();
  await again.close();
  assertEquals(far.journals, 0);
  assertEquals(far.connection.content.slice(0, 5000), pattern(5000, 1));
});

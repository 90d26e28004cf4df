/**
 * What is wrong with a volume table of format 2: each of its invariants.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { AssertionError } from "../../../errors.ts";
import {
  decodeSuperblock,
  findingInSuperblock,
  findingInVolumesSize,
  superblockWriteSize,
  type VolumeRecord,
} from "../../../metadata/mod.ts";
import { SLOT_BYTES } from "../../helpers/native_raw.ts";
import {
  BOOT,
  CHUNK,
  encodedSuperblock,
  POSITION,
  RECORDS,
  superblockOf,
  volume,
} from "../../helpers/native_volumes.ts";

Deno.test("findingInSuperblock() says when the records do not fit", () => {
  const room = SLOT_BYTES - RECORDS;
  const count = Math.floor((room - 56) / 8);
  const full = (more: number) =>
    superblockOf([volume(0, {
      epoch: count + more,
      dead: Array.from(
        { length: count + more },
        (_, i) => ({ first: i, last: i }),
      ),
    })]);
  assertEquals(findingInSuperblock(full(0)), "");
  assertEquals(superblockWriteSize(full(0)), SLOT_BYTES);
  const found = decodeSuperblock(encodedSuperblock(full(0)), POSITION, "c1");
  assertEquals(found, { ...full(0), readOnly: false });
  const wanted = `its records need ${56 + 8 * count + 8} bytes, ${room} fit`;
  assertEquals(findingInSuperblock(full(1)), wanted);
  assertThrows(() => encodedSuperblock(full(1)), AssertionError);
  assertThrows(() => superblockWriteSize(full(1)), AssertionError);
  const { volumes } = superblockOf([volume(0)]);
  assertEquals(findingInVolumesSize(volumes, 2030), "");
  assertEquals(
    findingInVolumesSize(volumes, 2031),
    "its records need 56 bytes, 32 fit",
  );
  assertEquals(
    findingInVolumesSize(volumes, 2032),
    "its records need 56 bytes, 0 fit",
  );
});

const S = { name: "s", epoch: 5, size: CHUNK, created: 0 };
const T = { name: "t", epoch: 6, size: CHUNK, created: 0 };

/** Changes of volume 1 beside a sound volume 0; what is wrong. */
const REFUSALS: readonly [Partial<VolumeRecord>, string][] = [
  [{ id: -1 }, "a volume has id -1"],
  [{ id: 0.5 }, "a volume has id 0.5"],
  [{ id: 2 ** 16 }, "a volume has id 65536"],
  [{ id: 0, name: "demo" }, "volume 0 is listed twice"],
  [{ name: "" }, 'name of volume 1 is ""'],
  [{ name: "a/b" }, 'name of volume 1 is "a/b"'],
  [{ name: "a@b" }, 'name of volume 1 is "a@b"'],
  [{ name: "a\nb" }, "name of volume 1"],
  [{ name: "x".repeat(256) }, "name of volume 1"],
  [{ name: "demo" }, 'two volumes have the name "demo"'],
  [{ size: 0 }, "size of volume 1 is 0 bytes, not whole chunks"],
  [{ size: CHUNK + 1 }, "size of volume 1"],
  [{ size: 2 ** 53 + CHUNK }, "size of volume 1"],
  [{ size: NaN }, "size of volume 1"],
  [{ epoch: -1 }, "epoch of volume 1 is -1"],
  [{ epoch: 2 ** 32 }, "epoch of volume 1 is 4294967296"],
  [{ epoch: 0.5 }, "epoch of volume 1 is 0.5"],
  [{ created: -1 }, "creation time of volume 1"],
  [{ created: 2 ** 53 }, "creation time of volume 1"],
  [{ quota: -1 }, "quota of volume 1"],
  [{ quota: 2 ** 54 }, "quota of volume 1"],
  [{ quota: 0.5 }, "quota of volume 1"],
  [{ reserve: -1 }, "reserve of volume 1"],
  [{ reserve: 2 ** 54 }, "reserve of volume 1"],
  [{ reserve: NaN }, "reserve of volume 1"],
  [{ snapshots: [{ ...S, name: "" }] }, 'name of a snapshot of volume 1 is ""'],
  [{ snapshots: [{ ...S, name: "a@b" }] }, "name of a snapshot of volume 1"],
  [{ snapshots: [S, { ...T, name: "s" }] }, "volume 1 is listed twice"],
  [
    { snapshots: [{ ...S, epoch: 9 }] },
    'epoch of snapshot "s" of volume 1 is 9, that of the volume is 9',
  ],
  [{ snapshots: [{ ...S, epoch: -1 }] }, "is -1"],
  [{ snapshots: [{ ...S, epoch: 0.5 }] }, "is 0.5"],
  [{ snapshots: [T, S] }, 'epoch of snapshot "s" of volume 1 is 5, after 6'],
  [{ snapshots: [S, { ...T, epoch: 5 }] }, "is 5, after 5"],
  [{ snapshots: [{ ...S, size: 0 }] }, 'size of snapshot "s" of volume 1'],
  [{ snapshots: [{ ...S, size: CHUNK / 2 }] }, "not whole chunks"],
  [{ snapshots: [{ ...S, created: -1 }] }, "creation time of snapshot"],
  [{ dead: [{ first: 2, last: 1 }] }, "dead epochs 2 to 1 of volume 1 are no"],
  [{ dead: [{ first: -1, last: 1 }] }, "are no range"],
  [{ dead: [{ first: 0, last: 0.5 }] }, "are no range"],
  [{ dead: [{ first: 0, last: 9 }] }, "are not below its epoch 9"],
  [
    { dead: [{ first: 1, last: 2 }, { first: 2, last: 3 }] },
    "dead epochs 2 to 3 of volume 1 do not come after 2",
  ],
  [{ dead: [{ first: 3, last: 3 }, { first: 1, last: 1 }] }, "not come after"],
  [{ snapshots: [S], dead: [{ first: 5, last: 5 }] }, 'contain snapshot "s"'],
  [
    { snapshots: [S, T], dead: [{ first: 0, last: 4 }, { first: 6, last: 8 }] },
    'contain snapshot "t"',
  ],
  [{ parent: { volume: 2, epoch: 1 } }, "is volume 2, which does not exist"],
  [{ parent: { volume: 0, epoch: 3 } }, "epoch 3 of volume 0, which is no"],
  [
    { snapshots: [S], parent: { volume: 1, epoch: 5 } },
    "volume 1 is its own ancestor",
  ],
];

Deno.test("findingInSuperblock() says what is wrong with each field of a volume", () => {
  const snapshots = [{ ...S, epoch: 1 }, { ...T, epoch: 2 }];
  const first = volume(0, { epoch: 4, snapshots });
  const sound = superblockOf([first, volume(1, { epoch: 9 })]);
  assertEquals(findingInSuperblock(sound), "");
  for (const [change, finding] of REFUSALS) {
    const other = volume(1, { epoch: 9, ...change });
    const found = findingInSuperblock(superblockOf([first, other]));
    assert(found.includes(finding), `"${found}", not "${finding}"`);
    const wrong = superblockOf([first, other]);
    assertThrows(() => encodedSuperblock(wrong), AssertionError, "");
  }
});

Deno.test("findingInSuperblock() says what is wrong with volume 0, the boot id and the parents", () => {
  const snapshots = [S];
  const cycle = [2, 3, 4].map((id) =>
    volume(id, {
      epoch: 9,
      snapshots,
      parent: { volume: id === 4 ? 2 : id + 1, epoch: 5 },
    })
  );
  const tail = volume(1, { parent: { volume: 2, epoch: 5 } });
  for (
    const [volumes, finding] of [
      [[], "volume 0 is not listed first"],
      [[volume(1)], "volume 0 is not listed first"],
      [[volume(1), volume(0)], "volume 0 is not listed first"],
      [[volume(0, { name: "other" })], 'that of the pool is "demo"'],
      [[volume(0, { size: CHUNK })], "the size of volume 0 is 1048576 bytes"],
      [[volume(0), ...cycle], "volume 2 is its own ancestor"],
      [[volume(0), tail, ...cycle], "volume 2 is its own ancestor"],
    ] as const
  ) {
    const found = findingInSuperblock(superblockOf(volumes));
    assert(found.includes(finding), `"${found}", not "${finding}"`);
  }
  for (const bootId of ["", BOOT.toUpperCase(), `${BOOT}0`]) {
    const found = findingInSuperblock(superblockOf([volume(0)], bootId));
    assertEquals(found, `the boot id is "${bootId}"`);
  }
  // The pool's name is not bound to the rules for volumes.
  const slash = volume(0, { name: "a/b@c" });
  const named = { ...superblockOf([slash]), name: "a/b@c" };
  assertEquals(findingInSuperblock(named), "");
  const found = decodeSuperblock(encodedSuperblock(named), POSITION, "c1");
  assertEquals(found, { ...named, readOnly: false });
});

Deno.test("findingInSuperblock() follows a line of many clones once", () => {
  const volumes = Array.from({ length: 700 }, (_, id) =>
    volume(id, {
      name: id === 0 ? "demo" : `${id}`,
      epoch: 9,
      snapshots: [S],
      parent: id === 699 ? undefined : { volume: id + 1, epoch: 5 },
    }));
  assertEquals(findingInSuperblock(superblockOf(volumes)), "");
});

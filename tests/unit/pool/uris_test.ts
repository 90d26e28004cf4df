/**
 * Components that are named by URIs: what is taken for one, and what is refused
 * before anything is connected or written.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { isUri, shownPath, splitUris } from "../../../errors.ts";
import { absolutePath } from "../../../cli/state/mod.ts";
import { labelPool, openPool } from "../../../pool/mod.ts";
import { assertRefused } from "../../helpers/small_pools.ts";

Deno.test("URIs are known by their schemes, split where the next one begins, and shown without passwords", () => {
  for (const uri of ["nbd://h/x", "NBDS+unix:///?socket=s"]) {
    assertEquals(isUri(uri), true, uri);
  }
  for (const path of ["/a/nbd://h/x", "nbd:x", "a.img", "./nbd:/x"]) {
    assertEquals(isUri(path), false, path);
  }
  const [a, b] = ["nbd://u:secret,1@h/x,y", "nbd://v:other@h/x"];
  assertEquals(splitUris(`${a},${b}`), [a, b]);
  assertEquals(
    shownPath(`${a},${b}`),
    "nbd://u:***@h/x,y,nbd://v:***@h/x",
  );
  assertEquals(shownPath("/a:b@c"), "/a:b@c");
});

Deno.test("paths in URIs become absolute", () => {
  const here = Deno.cwd();
  assertEquals(
    absolutePath("nbd+unix:///x?socket=a%20b,nbds://h/?tls-certificates=/c"),
    `nbd+unix:///x?socket=${
      encodeURI(here)
    }/a%20b,nbds://h/?tls-certificates=/c`,
  );
  // No path is not the working directory.
  assertEquals(
    absolutePath("nbd+unix:///?socket="),
    "nbd+unix:///?socket=",
  );
});

Deno.test("a URI is refused without the means to connect, and by format 1", async () => {
  const uri = "nbd://u:secret@localhost:1/";
  await assertRefused(
    () => openPool([uri]),
    "unsupported",
    '"nbd://u:***@localhost:1/"',
    'the option "remote"',
  );
  await assertRefused(
    () => labelPool({ name: "p", format: "freebsd", paths: [uri] }),
    "unsupported",
    '"nbd://u:***@localhost:1/"',
    "the native format takes URIs",
  );
});

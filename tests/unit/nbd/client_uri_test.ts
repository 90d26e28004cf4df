/**
 * URIs of exports, as `doc/uri.md` of the NBD project has them.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { hidePassword, VirstorError } from "../../../errors.ts";
import { isNbdUri, parseNbdUri } from "../../../nbd/client/mod.ts";

/** The parts that tell URIs apart. */
function parts(text: string): (boolean | number | string)[] {
  const { tls, host, port, socket, exportName } = parseNbdUri(text);
  return [tls, host, port, socket, exportName];
}

Deno.test("parseNbdUri() takes URIs apart", () => {
  const cases: Record<string, (boolean | number | string)[]> = {
    "nbd://localhost": [false, "localhost", 10809, "", ""],
    "nbd://localhost/": [false, "localhost", 10809, "", ""],
    "nbd:///vm": [false, "localhost", 10809, "", "vm"],
    "nbds://host:1/vm": [true, "host", 1, "", "vm"],
    "NBD://host:65535//vm": [false, "host", 65535, "", "/vm"],
    "nbd://[::1]:10810/a%20b%2Fc": [false, "::1", 10810, "", "a b/c"],
    "nbd+tcp://host/vm": [false, "host", 10809, "", "vm"],
    "nbd://user:p@host/vm": [false, "host", 10809, "", "vm"],
    "nbd+unix:///?socket=/run/a+b": [false, "", 0, "/run/a+b", ""],
    "nbds+unix:///vm?socket=%2Frun%2Fs": [true, "", 0, "/run/s", "vm"],
    "nbd+unix:///vm?x=1;socket=s": [false, "", 0, "s", "vm"],
  };
  for (const [text, wanted] of Object.entries(cases)) {
    assertEquals(parts(text), wanted, text);
  }
});

Deno.test("parseNbdUri() knows the parameters of TLS", () => {
  const uri = parseNbdUri(
    "nbds://h/?tls-certificates=/c&tls-hostname=n&tls-verify-peer=false",
  );
  assertEquals(uri.tlsCertificates, "/c");
  assertEquals(uri.tlsHostname, "n");
  assertEquals(uri.tlsVerify, false);
  assertEquals(parseNbdUri("nbds://h").tlsVerify, true);
});

Deno.test("parseNbdUri() refuses what it does not understand, and says why", () => {
  const cases: Record<string, string> = {
    "http://host/": "not of the form",
    "nbd:host": "not of the form",
    "nbd://host/#x": "not of the form",
    "nbd://host:0/": "port 0 is not 1 to 65535",
    "nbd://host:65536/": "port 65536 is not 1 to 65535",
    "nbd://a b:x/": "its host is malformed",
    "nbd://host/%zz": "its escapes (%) are malformed",
    "nbd://host/%00": "contains NUL",
    "nbd+unix:///vm": 'append "?socket=PATH"',
    "nbd+unix://host/vm?socket=s": "a Unix socket has no host",
    "nbd://host/vm?socket=s": "TCP has no socket path",
    "nbd+unix:///?socket=a&socket=b": '"socket" is given twice',
    "nbd+vsock://2/": 'transport "vsock" is not supported',
    "nbds://h/?tls-verify-peer=maybe": '"tls-verify-peer" is "maybe"',
  };
  for (const [text, wanted] of Object.entries(cases)) {
    assertThrows(() => parseNbdUri(text), VirstorError, wanted, text);
  }
});

Deno.test("hidePassword() hides passwords, and nothing else", () => {
  const cases: Record<string, string> = {
    "nbd://user:secret@host/vm": "nbd://user:***@host/vm",
    "nbd://:secret@host": "nbd://:***@host",
    "nbd://user:sec/ret@host/vm": "nbd://user:***@host/vm",
    "nbd://user:a@b@host/vm": "nbd://user:***@host/vm",
    "nbd://user@host/vm": "nbd://user@host/vm",
    "nbd://host:10809/vm@monday": "nbd://host:10809/vm@monday",
    "nbd+unix:///vm@1?socket=/a@b": "nbd+unix:///vm@1?socket=/a@b",
  };
  for (const [text, wanted] of Object.entries(cases)) {
    assertEquals(hidePassword(text), wanted);
  }
});

Deno.test("isNbdUri() tells URIs from paths", () => {
  const uris = ["nbd://h", "nbds+unix:///?socket=s", "NBD://h", "nbd+vsock:"];
  assertEquals(uris.map(isNbdUri), [true, true, true, true]);
  const paths = ["disk.img", "./nbd:x", "/nbd://h", "-", "nbd.img"];
  assertEquals(paths.map(isNbdUri), [false, false, false, false, false]);
});

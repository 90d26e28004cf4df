/**
 * What the page may change: `serve --http-control`. It has few of the commands,
 * and forces nothing.
 *
 * @module
 */

import { messageOf, VirstorError } from "../../errors.ts";
import {
  type HttpStatus,
  jsonPage,
  type Page,
  type RequestHead,
} from "../http/mod.ts";
import { parseFields } from "../calls/mod.ts";
import { refuseKnownComponents } from "../registry/mod.ts";
import { log } from "../terminal/mod.ts";
import type { ServedPools } from "./served_pools.ts";

/** What a request of each call may have; everything else is dropped. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  add: ["paths", "createSize"],
  planRemove: ["paths"],
  remove: ["paths"],
  cancelRemove: ["paths"],
  takeSnapshots: ["snapshots"],
};
/** The most changes that run at a time. */
const RUNNING_MAX = 4;

/** The pools that the page may change. */
export interface PageControlOptions {
  /** The pools. */
  readonly pools: Pick<ServedPools, "live">;
  /** The state directory. */
  readonly stateDirectory: string;
}

/** Carries out what viewers of the page ask for. */
export class PageControl {
  readonly #options: PageControlOptions;
  #running = 0;

  /**
   * Prepares the changes.
   *
   * @param options The pools.
   */
  constructor(options: PageControlOptions) {
    this.#options = options;
  }

  /**
   * Carries out a request; `?pool=NAME&call=NAME` says of which kind. It goes on
   * when the viewer leaves.
   *
   * @param head The request, whose token was checked.
   * @param text Its body, JSON.
   * @returns The answer, with the status.
   */
  async act(head: RequestHead, text: string): Promise<[HttpStatus, Page]> {
    if (this.#running >= RUNNING_MAX) {
      return refusal(503, "busy", "Other changes run, try again later");
    }
    this.#running++;
    try {
      return await this.#carryOut(head, text);
    } catch (error) {
      if (!(error instanceof VirstorError)) throw error;
      return refusal(409, error.code, messageOf(error));
    } finally {
      this.#running--;
    }
  }

  async #carryOut(
    { query, fields }: RequestHead,
    text: string,
  ): Promise<[HttpStatus, Page]> {
    const call = query.get("call") ?? "";
    const { pools, stateDirectory } = this.#options;
    const served = pools.live.find(({ name }) => name === query.get("pool"));
    const allowed = Object.hasOwn(FIELDS, call) ? FIELDS[call] : undefined;
    // A form of another site cannot send this type.
    if (!/^application\/json\b/i.test(fields.get("content-type") ?? "")) {
      return refusal(415, "invalid", "A change is JSON");
    }
    if (served === undefined || allowed === undefined) {
      return refusal(404, "not-found", "There is no such pool or change");
    }
    const given = parseFields(text);
    const request = Object.fromEntries(
      allowed.filter((key) => key in given).map((key) => [key, given[key]]),
    );
    const paths = pathsIn(request);
    if (call === "add") await refuseKnownComponents(stateDirectory, paths);
    if (call !== "planRemove") {
      const { name } = served;
      log("control", `The page asks for "${call}"`, {
        ...{ pool: name, level: "info" },
      });
    }
    const answer = await served.control.answer(call, JSON.stringify(request));
    return [200, jsonPage({ answer })];
  }
}

/** The paths of a request: the page adds nothing of other machines. */
function pathsIn({ paths }: Record<string, unknown>): string[] {
  if (paths === undefined) return [];
  const all: readonly unknown[] = Array.isArray(paths) ? paths : [paths];
  const good = all.filter((path) =>
    typeof path === "string" && path.startsWith("/")
  );
  if (good.length === all.length) return good as string[];
  throw new VirstorError("invalid", "Give absolute paths on this machine");
}

function refusal(
  status: HttpStatus,
  code: string,
  message: string,
): [HttpStatus, Page] {
  return [status, jsonPage({ error: { code, message } })];
}

/**
 * The pending requests of one connection: those that the device has in flight.
 * Also maps the errors of the device to failures for the client. This is the
 * slow path: only here does a request cost promises and closures.
 *
 * @module
 */

import { VirstorError } from "../../../errors.ts";
import {
  DEVICE_FAILED,
  type Failure,
  failureOf,
  type ReplyAddress,
  requestError,
} from "../../wire/mod.ts";

/** The connection that owns pending requests. */
export interface PendingRequestsOwner {
  /** Called after a pending request, or a part of one, is done. */
  onSettled(): void;
  /**
   * Called when the device failed a request.
   *
   * @param error The error, with the request in its message.
   */
  onError(error: VirstorError): void;
  /**
   * Called for an error that is a fault of the program; the process should
   * stop.
   *
   * @param error The thrown value.
   */
  onPanic(error: unknown): void;
}

/** Tracks the pending requests of one connection. */
export class PendingRequests {
  readonly #owner: PendingRequestsOwner;
  #count = 0;
  /** Replies held until the reply that is sent in parts is complete. */
  #held: (() => void)[] | undefined = undefined;

  /**
   * Starts without pending requests.
   *
   * @param owner The connection.
   */
  constructor(owner: PendingRequestsOwner) {
    this.#owner = owner;
  }

  /** Number of pending requests, and of pending parts of requests. */
  get count(): number {
    return this.#count;
  }

  /**
   * Tracks a request until the device completes it.
   *
   * @param completion The promise of the device.
   * @param to The request. It must not change until `done` is called.
   * @param fastZero Whether the request is a WRITE_ZEROES with FAST_ZERO.
   * @param done Called when the device is done, with the failure or
   *   `undefined`; after {@linkcode letGo} if replies are held then.
   */
  track(
    completion: Promise<void>,
    to: ReplyAddress,
    fastZero: boolean,
    done: (failure: Failure | undefined) => void,
  ): void {
    this.#track(completion, to, fastZero, (answer) => {
      if (this.#held === undefined) answer();
      else this.#held.push(answer);
    }, done);
  }

  /**
   * Tracks one part of a reply that is sent in parts.
   *
   * @param completion The promise of the device.
   * @param to The request. It must not change until `done` is called.
   * @param done Called when the device is done, with the failure or
   *   `undefined`, even while replies are held.
   */
  trackPart(
    completion: Promise<void>,
    to: ReplyAddress,
    done: (failure: Failure | undefined) => void,
  ): void {
    this.#track(completion, to, false, (answer) => answer(), done);
  }

  /** Holds replies of {@linkcode track}: a reply is being sent in parts. */
  hold(): void {
    this.#held = [];
  }

  /** Releases the held replies in order, and holds no further ones. */
  letGo(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const answer of held) answer();
  }

  #track(
    completion: Promise<void>,
    to: ReplyAddress,
    fastZero: boolean,
    pass: (answer: () => void) => void,
    done: (failure: Failure | undefined) => void,
  ): void {
    this.#count++;
    const settle = (failure: Failure | undefined) =>
      pass(() => {
        this.#count--;
        done(failure);
        this.#owner.onSettled();
      });
    completion.then(
      () => settle(undefined),
      (error) => settle(this.failureOf(error, to, fastZero)),
    );
  }

  /**
   * Reports an error to the owner and maps it to a failure for the client.
   *
   * @param error The value that the device threw.
   * @param to The request that failed.
   * @param fastZero Whether the request was a WRITE_ZEROES with FAST_ZERO.
   * @returns The failure to reply with.
   */
  failureOf(error: unknown, to: ReplyAddress, fastZero: boolean): Failure {
    if (error instanceof VirstorError) {
      this.#owner.onError(requestError(to, error));
      return failureOf(error, fastZero);
    }
    this.#owner.onPanic(error);
    return DEVICE_FAILED;
  }
}

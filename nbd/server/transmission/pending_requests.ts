/**
 * The requests of one connection that the device has not finished, and what
 * becomes of the errors that it fails with. The slow path: here, and only
 * here, a request costs promises and closures.
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

/** Whom to tell. */
export interface LateRequestsOwner {
  /** A request was finished and answered. */
  onSettled(): void;
  /** The device failed in a way that is to be expected of a disk. */
  onError(error: VirstorError): void;
  /** Something failed that must not; the process should stop. */
  onPanic(error: unknown): void;
}

/** Keeps count of what is under way. */
export class LateRequests {
  readonly #owner: LateRequestsOwner;
  #count = 0;
  /** What is to be answered when a reply that is sent in parts is complete. */
  #held: (() => void)[] | undefined = undefined;

  /**
   * Starts with nothing under way.
   *
   * @param owner Whom to tell.
   */
  constructor(owner: LateRequestsOwner) {
    this.#owner = owner;
  }

  /** Requests, and parts of requests, that are under way. */
  get count(): number {
    return this.#count;
  }

  /**
   * Waits for the device.
   *
   * @param completion What it gave.
   * @param to The request; it stays as it is.
   * @param fastZero Whether this is a WRITE_ZEROES with FAST_ZERO.
   * @param done Called when it has finished, or has failed as told.
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
   * Waits for the device, for a part of a reply.
   *
   * @param completion What it gave.
   * @param to The request; it stays as it is.
   * @param done Called when it has finished, or has failed as told, also
   *   while answers are held.
   */
  trackPart(
    completion: Promise<void>,
    to: ReplyAddress,
    done: (failure: Failure | undefined) => void,
  ): void {
    this.#track(completion, to, false, (answer) => answer(), done);
  }

  /** From now on nothing is answered: a reply is being sent in parts. */
  hold(): void {
    this.#held = [];
  }

  /** Answers what was held, and whatever follows. */
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
   * Tells what a client is told of an error, and the owner of the error.
   *
   * @param error What the device has thrown.
   * @param to The request that it has failed.
   * @param fastZero Whether the request was a WRITE_ZEROES with FAST_ZERO.
   * @returns The failure.
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

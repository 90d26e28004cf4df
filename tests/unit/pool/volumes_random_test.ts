/**
 * Goal: whatever is done to volumes and snapshots, in whatever order and cut
 * off wherever, they hold what a simple model says. Method: random lives on
 * simulated disks. `VIRSTOR_LIVES` sets how many there are.
 *
 * @module
 */

import { runLives } from "../../simulation/volumes_steps.ts";

const LIVES = Number(Deno.env.get("VIRSTOR_LIVES") ?? 20);
const STEPS = 60;

Deno.test("superblocks that are longer than their slots are written as safely", async () => {
  const seeds = Array.from({ length: LIVES / 5 }, (_, i) => i + 1);
  await runLives(seeds, STEPS, () => {}, { isLong: true });
});

Deno.test("volumes and snapshots hold what a model says, through random lives", async () => {
  const seeds = Array.from({ length: LIVES }, (_, i) => i + 1);
  await runLives(seeds, STEPS);
});

Deno.test("quotas, reserves, policies and full hosts hold through random lives", async () => {
  const seeds = Array.from({ length: LIVES / 2 }, (_, i) => i + 1);
  await runLives(seeds, STEPS, () => {}, { isLimited: true });
});
